"""The format of profiles for editors (a JSON Schema) and as the tables of docs/profiles.md: `make docs`."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from docs.site.profile_keys import KEYS, NOTES_ONLY
from docs.site.providers import with_table
from framerelay.upstream.profile import Profile

SECTIONS: Final[Mapping[str, str]] = {
    "Profile": "the top",
    "Auth": "auth",
    "Media": "media",
    "ImageLimits": "media.image",
    "Upload": "media.upload",
    "Create": "create",
    "Already": "create.already, get.absent_if",
    "Get": "get",
    "BatchRules": "get.batch",
    "Read": "read",
    "StateRule": "read.states_if",
    "ErrorPaths": "read.error, callback.error",
    "Then": "read.then",
    "Times": "read.times",
    "CallbackRules": "callback",
    "Signature": "callback.signature",
    "Reply": "callback.answer",
    "Repeats": "callback.repeats",
    "Challenge": "callback.challenge",
    "Recover": "recover",
    "Reference": "recover.reference",
    "Listing": "recover.list",
    "Cancel": "cancel",
    "DownloadRules": "download",
    "Billing": "billing",
    "Poll": "poll",
    "LimitRules": "limits",
    "ErrorRule": "errors",
    "Model": "models",
    "Durations": "models: durations",
    "Price": "models: price",
    "Example": "examples",
}
"""Where each struct is in a profile, in the order of the manual."""

_PLAIN: Final = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
_ENTRIES: Final = {"ErrorRule", "StateRule", "Example"}
"""Entries of lists: they are not merged with those of another profile."""


def schema_file() -> str:
    """The schema as it is in docs/profile.schema.json."""
    schema = schema_of_profiles()
    whole = schema["$defs"].pop("Profile")
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A FrameRelay profile",
        **{key: value for key, value in whole.items() if key != "title"},
        "required": ["profile", "id"],
        "if": {"not": {"required": ["extends"]}},
        "then": _WHOLE,
        "$defs": schema["$defs"],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


_WHOLE: Final = {
    "required": ["title", "base", "create", "get"],
    "properties": {"create": {"required": ["post"]}, "get": {"required": ["get"]}},
}
"""What a profile needs if it does not extend another one."""


def schema_of_profiles() -> dict[str, Any]:
    """As msgspec makes it, with what each key means; what another profile may supply is not required."""
    schema = msgspec.json.schema(Profile)
    for name, one in schema["$defs"].items():
        one["description"] = _first_paragraph(one["description"])
        for key, value in one["properties"].items():
            one["properties"][key] = {**value, "description": _sentence(KEYS[name][key])}
            one["properties"][key].pop("default", None)
    for name in schema["$defs"].keys() - _ENTRIES:
        schema["$defs"][name].pop("required", None)
    return schema


def reference() -> str:
    """Every section with its keys, for docs/profiles.md."""
    schema = msgspec.json.schema(Profile)["$defs"]
    return "\n".join(_section(name, schema[name]) for name in SECTIONS)


def _section(name: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    rows = "".join(_row(name, key, value, is_needed=key in required) for key, value in schema["properties"].items())
    about = "The keys of the file itself." if name == "Profile" else _first_paragraph(schema["description"])
    return f"### {_title(name)}\n\n{about}\n\n| key | value | default | meaning |\n|---|---|---|---|\n{rows}"


def _title(name: str) -> str:
    return SECTIONS[name] if name == "Profile" else ", ".join(f"`{place}`" for place in SECTIONS[name].split(", "))


def _row(name: str, key: str, schema: Mapping[str, Any], *, is_needed: bool) -> str:
    default = "required" if is_needed else _default(schema)
    mark = " ○" if f"{name}.{key}" in NOTES_ONLY else ""
    return f"| `{key}`{mark} | {_value(schema)} | {default} | {_in_a_cell(KEYS[name][key])} |\n"


def _default(schema: Mapping[str, Any]) -> str:
    value = schema.get("default")
    if value in (None, [], {}, False):
        return "no" if value is False else ""
    return f"`{value:g}`" if isinstance(value, float) else f"`{json.dumps(value)}`".replace('"', "")


def _value(schema: Mapping[str, Any]) -> str:
    """The values that are allowed, in words."""
    if "$ref" in schema:
        return _link(schema["$ref"])
    if "anyOf" in schema:
        return " · ".join(_value(one) for one in schema["anyOf"] if one.get("type") != "null")
    if "enum" in schema:
        return " · ".join(f"`{word}`" for word in schema["enum"])
    if "examples" in schema:
        return "path"
    return (
        _group(schema) if schema.get("type") in ("array", "object") else _PLAIN.get(schema.get("type", ""), "anything")
    )


def _group(schema: Mapping[str, Any]) -> str:
    if schema["type"] == "array":
        return f"list of {_value(schema.get('items', {}))}"
    return f"map of names to {_value(schema.get('additionalProperties', {}))}"


def _link(reference: str) -> str:
    name = reference.rpartition("/")[2]
    anchor = re.sub(r"[^a-z0-9_ -]", "", SECTIONS[name].lower()).replace(" ", "-")
    return f"[{SECTIONS[name].partition(',')[0]}](#{anchor})"


def _first_paragraph(docstring: str) -> str:
    return docstring.strip().partition("\n\n")[0].replace("``", "`")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _in_a_cell(text: str) -> str:
    return re.sub(r"(\{[^{} ]*\}|\[\]|\*(?=[ ;]))", r"`\1`", text).replace("|", "\\|")


def pages(root: Path) -> Iterator[tuple[Path, str]]:
    """The files below *root* that this module writes, with their text."""
    yield root / "docs" / "profile.schema.json", schema_file()
    page = root / "docs" / "profiles.md"
    yield page, with_table(page.read_text(encoding="utf-8"), reference())


if __name__ == "__main__":
    for path, text in pages(Path()):
        path.write_text(text, encoding="utf-8")
