"""Storyboards as JSON schemas, for editors and clients; `storyboards.storyboard` reports all mistakes."""

import json
from pathlib import Path
from typing import Any, Final

from framerelay.storyboards.inputs import INPUT_FIELDS, PLAIN_FIELDS, REFERENCE_FILES, FieldKind
from framerelay.storyboards.labels import LABELS_MAX, VALUE_MAX
from framerelay.storyboards.reactions import RETAKES_MAX
from framerelay.storyboards.scenes import SHOTS_MAX, TAKES_MAX

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string", "minLength": 1}
ID: Final[Schema] = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,40}$"}
URL: Final[Schema] = {"type": "string", "format": "uri"}
FRAME: Final[Schema] = {
    "type": "string",
    "description": "A URL, or file:NAME as POST /v1/files answered it; for the command a file beside it, too.",
}
_KINDS: Final[dict[FieldKind, Schema]] = {
    FieldKind.TEXT: TEXT,
    FieldKind.WHOLE_NUMBER: {"type": "integer"},
    FieldKind.NUMBER: {"type": "number"},
    FieldKind.BOOLEAN: {"type": "boolean"},
    FieldKind.URL: URL,
    FieldKind.URLS: {"type": "array", "items": {"type": "string"}},
}
PLAIN_SCHEMAS: Final[Schema] = {name: _KINDS[INPUT_FIELDS[name]] for name in PLAIN_FIELDS}
INPUT_SCHEMAS: Final[Schema] = {
    **PLAIN_SCHEMAS,
    **{name: {"type": "array", "items": FRAME} for name in REFERENCE_FILES},
}


def _describe(schema: Schema, description: str, *examples: str) -> Schema:
    """What an editor shows for the key, and offers as its value."""
    return {**schema, "description": description, **({"examples": list(examples)} if examples else {})}


def _group(needs: tuple[str, ...] = (), /, **keys: Schema) -> Schema:
    rule = {"required": list(needs)} if needs else {}
    return {"type": "object", "properties": keys, "additionalProperties": False, **rule}


_CHOICE: Final = {
    "provider": _describe(TEXT, "Who makes it: a shipped profile, or a name from framerelay.yaml."),
    "model": _describe(TEXT, "The provider's model."),
    "extra": _describe({"type": "object"}, "Raw fields of that provider, merged into the request last."),
}
"""At the top, in a scene and in a shot; the innermost one counts."""

_ON_FAILED: Final = _describe(
    {
        "anyOf": [
            {"enum": ["retake", "stop"]},
            _group(("retake",), retake={"type": "integer", "minimum": 0, "maximum": RETAKES_MAX}),
        ]
    },
    "New takes when a job fails: retake, stop, or {retake: 2} for at most two.",
)
_SHOT: Final = _group(
    ("prompt",),
    id=_describe(ID, "Its name, unique in the whole storyboard."),
    prompt=_describe(TEXT, "What is to be seen."),
    **{"from": _describe(TEXT, "continue, bridge, cut, or the id of an earlier shot.", "continue", "bridge", "cut")},
    first_frame=FRAME,
    first_frame_url=URL,
    last_frame=FRAME,
    last_frame_url=URL,
    takes=_describe(
        {"type": "integer", "minimum": 1, "maximum": TAKES_MAX},
        "How many are made, each a paid job; you pick one of them.",
    ),
    pick=_describe({"const": "first"}, "The first take that is done is the one."),
    gate=_describe({"const": "approve"}, "It is submitted after you approved it."),
    on_moderated=_describe(
        {**_group(prompt=TEXT, generate_audio={"const": False}), "minProperties": 1},
        "In place of its own, once, when prompt, picture or sound is refused.",
    ),
    on_failed=_ON_FAILED,
    **_CHOICE,
    **INPUT_SCHEMAS,
)
_SHOTS: Final[Schema] = {
    "type": "array",
    "items": {"$ref": "#/components/schemas/StoryboardShot"},
    "minItems": 1,
    "maxItems": SHOTS_MAX,
}
_SCENE: Final = _group(("shots",), id=ID, first_frame=FRAME, first_frame_url=URL, **_CHOICE, shots=_SHOTS)
_WHOLE: Final = _group(
    version={"const": 1},
    title=_describe(TEXT, "The name of the run."),
    labels=_describe(
        {
            "type": "object",
            "propertyNames": {"pattern": ID["pattern"]},
            "additionalProperties": {**TEXT, "maxLength": VALUE_MAX},
            "maxProperties": LABELS_MAX,
        },
        "By which its run is found: project, episode, whatever you sort by.",
    ),
    **_CHOICE,
    budget=_describe(
        {
            **_group(jobs={"type": "integer", "minimum": 1}, money={"type": "number", "exclusiveMinimum": 0}),
            "minProperties": 1,
        },
        "No submit past it, retakes included.",
    ),
    currency=_describe(
        {"type": "string", "pattern": "^([A-Z]{3}|credits|units)$"}, "What money is counted in.", "USD", "CNY"
    ),
    defaults=_describe(_group(**INPUT_SCHEMAS), "Input fields of the jobs API for every shot."),
    **{
        "pass": _describe(
            {"anyOf": [{"enum": ["draft", "final"]}, _group(("draft",), draft=_group(**PLAIN_SCHEMAS))]},
            "draft: small and cheap, to look at; promote makes the final of it.",
        )
    },
    service_tier=_describe(TEXT, "For all shots; flex: later and cheaper, where the provider has it.", "flex"),
    on_failed=_ON_FAILED,
    style=_describe(TEXT, "What all prompts share; it is added to the end of each."),
    scenes={"type": "array", "items": {"$ref": "#/components/schemas/StoryboardScene"}, "minItems": 1},
    shots=_SHOTS,
    notify_url=_describe(URL, "We POST there when the run ends or waits for you."),
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


def schema_file() -> str:
    """`docs/storyboard.schema.json`: the same in one document, for editors; `make docs` writes it."""
    whole, *parts = STORYBOARD_SCHEMAS
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "FrameRelay storyboard",
        **STORYBOARD_SCHEMAS[whole],
        "$defs": {name: STORYBOARD_SCHEMAS[name] for name in parts},
    }
    return json.dumps(document, indent=2).replace("#/components/schemas/", "#/$defs/") + "\n"


if __name__ == "__main__":
    Path("docs/storyboard.schema.json").write_text(schema_file(), encoding="utf-8")
