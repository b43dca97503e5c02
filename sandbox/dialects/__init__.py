"""
The providers in whose words the sandbox speaks, one file each.

Each has ``routes(desk)``: its paths, what it takes, and what it answers. What a job is, which faults strike, and how a
clip is made is the same for all (`sandbox.desk`, `sandbox.renderer`).
"""
