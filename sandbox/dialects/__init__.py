"""
The providers that the sandbox imitates, one file each.

Each has ``routes(service)``: its paths, what it accepts, and what it answers. What a job is, which faults strike, and
how a clip is made is the same for all (`sandbox.service`, `sandbox.renderer`).
"""
