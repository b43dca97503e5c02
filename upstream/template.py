"""
Templates of a profile: a body with ``{words}`` in it, made into what is sent. No expressions, no loops, no code.

A text that is one ``{word}`` and nothing else keeps the word's type; within a text it is inserted as text. Anything
that contains a word without a value is left out, and so is a group or a list that becomes empty. ``$when: word`` leaves
its group out if the word has no value, ``$unless: word`` if it has one; ``$each: word`` repeats its group for every
entry of a list, as ``{item}``. A group with ``$value`` is that value and no group: ``$when`` for a single field.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

WORDS: Final = (
    *("model", "prompt", "negative", "first_frame", "last_frame", "ref_images", "ref_videos", "duration", "ratio"),
    *("resolution", "seed", "audio", "watermark", "return_last_frame", "callback_url", "take", "input"),
    *("first_frame_type", "last_frame_type", "frames", "camera_fixed", "service_tier", "expires_after", "draft"),
    *("webhook_secret",),
)
"""The words of a create: what a storyboard says, in FrameRelay's own terms."""

_WORD: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_.]*)\}")
_LEFT_OUT: Final = object()
_RULES: Final = ("$when", "$unless", "$each")


def fill(template: object, words: Mapping[str, object]) -> Any:
    """*template* with *words* in it; None if nothing is left of it."""
    value = _fill(template, words)
    return None if value is _LEFT_OUT else value


def words_in(template: object) -> Iterator[str]:
    """Every word that *template* asks for, ``$when``, ``$unless`` and ``$each`` included."""
    if isinstance(template, str):
        yield from _WORD.findall(template)
    elif isinstance(template, Mapping):
        for key, value in template.items():
            yield from (value,) if key in _RULES and isinstance(value, str) else words_in(value)
    elif isinstance(template, list):
        for value in template:
            yield from words_in(value)


def _fill(template: object, words: Mapping[str, object]) -> object:
    if isinstance(template, str):
        return _text(template, words)
    if isinstance(template, Mapping):
        return _group(template, words)
    if isinstance(template, list):
        return _list(template, words)
    return template


def _text(template: str, words: Mapping[str, object]) -> object:
    names = _WORD.findall(template)
    if any(_is_nothing(words.get(name)) for name in names):
        return _LEFT_OUT
    if len(names) == 1 and template == f"{{{names[0]}}}":
        return words[names[0]]
    return _WORD.sub(lambda match: str(words[match[1]]), template)


def _group(template: Mapping[str, object], words: Mapping[str, object]) -> object:
    when, unless = template.get("$when"), template.get("$unless")
    if isinstance(when, str) and _is_nothing(words.get(when)):
        return _LEFT_OUT
    if isinstance(unless, str) and not _is_nothing(words.get(unless)):
        return _LEFT_OUT
    if "$value" in template:
        return _fill(template["$value"], words)
    values = {key: _fill(value, words) for key, value in template.items() if key not in _RULES}
    rest = {key: value for key, value in values.items() if value is not _LEFT_OUT}
    return rest if rest or not values else _LEFT_OUT


def _list(template: list[object], words: Mapping[str, object]) -> object:
    values = [value for entry in template for value in _entries(entry, words) if value is not _LEFT_OUT]
    return values if values or not template else _LEFT_OUT


def _entries(entry: object, words: Mapping[str, object]) -> Iterator[object]:
    each = entry.get("$each") if isinstance(entry, Mapping) else None
    if not isinstance(each, str):
        yield _fill(entry, words)
        return
    items = words.get(each)
    for item in items if isinstance(items, list | tuple) else ():
        yield _fill(entry, {**words, "item": item})


def _is_nothing(value: object) -> bool:
    return value is None or (isinstance(value, str | list | tuple | dict) and not value)
