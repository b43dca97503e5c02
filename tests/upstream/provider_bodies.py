"""The 80 bodies of 24 providers that pages, SDKs and captures give: for tests of the profiles that read them."""

import json
from pathlib import Path
from typing import Any, Final

from framerelay.upstream.profile_file import load_shipped
from framerelay.upstream.understanding import AnswerKind, Understanding, understand

BODIES: Final[list[dict[str, Any]]] = [
    json.loads(line) for line in Path(__file__).with_name("provider_bodies.jsonl").read_text("utf-8").splitlines()
]
REQUESTS: Final = [body for body in BODIES if body["kind"] == "create_request"]
ANSWERS: Final = [body for body in BODIES if body["kind"] != "create_request"]
REFUSED_WITH: Final = {"ark": 400, "fal": 429, "replicate": 401, "minimax": 400, "kie": 200, "dashscope": 400}
"""The HTTP status that the refusal of each came with; kie.ai refuses with 200."""
FINAL: Final = ("succeeded", "failed", "expired", "cancelled")


def name_of(body: dict[str, Any]) -> str:
    """``ark get_success 3``: its line, so that two of one kind differ."""
    return f"{body['provider']} {body['kind']} {BODIES.index(body) + 1}"


def kind_of(body: dict[str, Any]) -> AnswerKind:
    """What it is read as."""
    kinds: dict[str, AnswerKind] = {"get": "get", "callback": "callback"}
    return kinds.get(body["kind"].split("_")[0], "create")


def read(body: Any, provider: str, kind: AnswerKind, *, status: int = 200) -> Understanding:
    """What the profile *provider* understands of *body*."""
    return understand(load_shipped(provider), kind, json.dumps(body).encode(), status=status)
