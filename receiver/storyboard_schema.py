"""Storyboards as JSON schemas, for editors and clients; `runs.storyboard` knows more and tells every mistake."""

from typing import Any, Final

from runs.inputs import INPUT_FIELDS, PLAIN_FIELDS, Kind
from runs.scenes import SHOTS_MAX, TAKES_MAX

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string", "minLength": 1}
ID: Final[Schema] = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,40}$"}
URL: Final[Schema] = {"type": "string", "format": "uri"}
FRAME: Final[Schema] = {"type": "string", "description": "A URL, or file:NAME as POST /v1/files answered it."}
_KINDS: Final[dict[Kind, Schema]] = {
    Kind.TEXT: TEXT,
    Kind.WHOLE_NUMBER: {"type": "integer"},
    Kind.NUMBER: {"type": "number"},
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.URL: URL,
    Kind.URLS: {"type": "array", "items": {"type": "string"}},
}
_INPUTS: Final = {name: _KINDS[INPUT_FIELDS[name]] for name in PLAIN_FIELDS}


def _group(needs: tuple[str, ...] = (), /, **keys: Schema) -> Schema:
    required = {"required": list(needs)} if needs else {}
    return {"type": "object", "properties": keys, "additionalProperties": False, **required}


_SHOT: Final = _group(
    ("prompt",),
    id=ID,
    prompt=TEXT,
    **{"from": {**TEXT, "description": "continue, bridge, cut, or the id of an earlier shot."}},
    first_frame=FRAME,
    first_frame_url=URL,
    last_frame=FRAME,
    last_frame_url=URL,
    takes={"type": "integer", "minimum": 1, "maximum": TAKES_MAX},
    pick={"const": "first"},
    gate={"const": "approve"},
    **_INPUTS,
)
_SHOTS: Final[Schema] = {
    "type": "array",
    "items": {"$ref": "#/components/schemas/StoryboardShot"},
    "minItems": 1,
    "maxItems": SHOTS_MAX,
}
_SCENE: Final = _group(("shots",), id=ID, first_frame=FRAME, first_frame_url=URL, shots=_SHOTS)
_WHOLE: Final = _group(
    ("model",),
    version={"const": 1},
    title=TEXT,
    model=TEXT,
    budget=_group(("jobs",), jobs={"type": "integer", "minimum": 1}),
    defaults=_group(**_INPUTS),
    style=TEXT,
    scenes={"type": "array", "items": {"$ref": "#/components/schemas/StoryboardScene"}, "minItems": 1},
    shots=_SHOTS,
    notify_url=URL,
)

STORYBOARD_SCHEMAS: Final[dict[str, Schema]] = {
    "Storyboard": {
        "description": "What the film is made of, as docs/storyboard.md explains: scenes, or the shots of one.",
        **_WHOLE,
        "oneOf": [{"required": ["scenes"]}, {"required": ["shots"]}],
    },
    "StoryboardScene": {"description": "Shots that hang on each other.", **_SCENE},
    "StoryboardShot": {"description": "One clip of the film; input fields of the jobs API are passed on.", **_SHOT},
}
