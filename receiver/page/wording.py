"""The values for a template, with their sentences in the reader's language."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from framerelay.languages.catalogs import translate
from framerelay.languages.reader import ENGLISH, language
from framerelay.runs.errors import Mistake

SENTENCES: Final = frozenset(
    {
        *("sentence", "words", "told", "asks", "trouble", "heading", "message", "offer", "promotes", "handover"),
        *("then", "resume", "cancel", "spends", "follows", "all", "jobs", "jobs_of_all", "why_not", "why"),
        *("cost", "film_in", "would"),
    }
)
"""Names whose values are only sentences and measures of ours; all else is a person's, or no words."""


def translate_values(value: Any, name: str = "") -> Any:
    """
    *value*, which is called *name*, with its sentences in the reader's language.

    It looks into mappings, lists, and what the page makes of a run; the template names what is elsewhere.
    """
    if language() == ENGLISH:
        return value
    match value:
        case str():
            return translate(value) if name in SENTENCES else value
        case Mapping():
            return {key: translate_values(each, str(key)) for key, each in value.items()}
        case Sequence() if not isinstance(value, bytes):
            return _list(value, name)
        case Mistake():
            return _fields(value)
        case _ if dataclasses.is_dataclass(value) and type(value).__module__.startswith(__package__):
            return _fields(value)
        case _:
            return value


def _list(values: Sequence[Any], name: str) -> Sequence[Any]:
    if name == "details":  # What it is called, and what it is: a person's words, or an id.
        return [(_label(label), *rest) for label, *rest in values]
    words = [translate_values(each, name) for each in values]
    return tuple(words) if isinstance(values, tuple) else words


def _fields(value: Any) -> Any:
    fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value) if each.init}
    changes = {name: now for name, was in fields.items() if (now := translate_values(was, name)) != was}
    return dataclasses.replace(value, **changes) if changes else value


def _label(label: str) -> str:
    text = translate(label.removesuffix(":"))
    return f"{text}：" if label.endswith(":") and text != label.removesuffix(":") else text
