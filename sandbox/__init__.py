"""
A generation API that runs on your laptop: it speaks the jobs API, renders real MP4s, and fails on request.

    options = SandboxOptions(key="sk-sandbox", folder=Path("data/sandbox"))
    uvicorn.run(create_sandbox(options), host="127.0.0.1", port=8090)
"""

from framerelay.sandbox.app import PATHS, create_sandbox
from framerelay.sandbox.faults import Faults
from framerelay.sandbox.options import SandboxOptions

__all__ = ["PATHS", "Faults", "SandboxOptions", "create_sandbox"]
