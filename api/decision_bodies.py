"""The bodies of decisions as schemas: a change of a shot, a budget."""

from typing import Final

from framerelay.api.storyboard_schema import INPUT_SCHEMAS, Schema
from framerelay.api.storyboard_schema import TEXT as WORDS


def fields_schema(properties: Schema, *, needs: tuple[str, ...] = ()) -> Schema:
    """An object with these fields and no others: misspelled ones are refused, not ignored."""
    rule = {"required": list(needs)} if needs else {}
    return {"type": "object", "properties": properties, "additionalProperties": False, **rule}


SEED: Final[Schema] = {"anyOf": [{"type": "integer", "minimum": -1, "maximum": 2**32 - 1}, {"type": "null"}]}
YES_NO: Final[Schema] = {"anyOf": [{"type": "boolean"}, {"type": "null"}]}
TEXT: Final[Schema] = {"anyOf": [{"type": "string", "pattern": r"\S"}, {"type": "null"}]}
BUDGET: Final[Schema] = {
    "description": "Limits of the whole run, what was spent before included; what is left out stays as it is.",
    "anyOf": [
        fields_schema(
            {
                "jobs": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 999_999}, {"type": "null"}]},
                "money": {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": 1e9}, {"type": "null"}]},
            }
        ),
        {"type": "null"},
    ],
}
CHANGE: Final[Schema] = {
    "prompt": TEXT,
    "seed": SEED,
    "input": {
        "description": "Input fields in place of those of the shot, by the rules of a storyboard.",
        "anyOf": [fields_schema({**INPUT_SCHEMAS, "prompt": WORDS}), {"type": "null"}],
    },
}
