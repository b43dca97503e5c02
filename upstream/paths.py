"""
Paths of a profile: where in an answer a value is.

``data.id`` goes down by keys, ``output[0]`` by position (``[0].id`` if the answer is a list),
``outputs[type=video].url`` to the first entry that has that value, ``a.b|c`` takes the first that exists, and ``@.id``
begins at the whole body if ``root`` was moved.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_ALTERNATIVE: Final = re.compile(r"[^|\[\]]*(?:\[[^\[\]]*\][^|\[\]]*)*")
_STEP: Final = re.compile(r"(?P<name>[^.\[\]|=]+)|\[(?P<index>[0-9]+)\]|\[(?P<key>[^\[\]=]+)=(?P<value>[^\[\]]*)\]")

LIST: Final = "[]"
"""The key under which an answer that is a list is stored: paths that begin with ``[0]`` or ``[key=value]`` use it."""

PathStep = str | int | tuple[str, str]


@dataclass(frozen=True, slots=True)
class ValuePath:
    """One parsed path: alternatives, each with whether it begins at the whole body, and its steps."""

    alternatives: tuple[tuple[bool, tuple[PathStep, ...]], ...]

    def find(self, record: object, body: object = None) -> object:
        """The first meaningful value in *record* (or in the whole *body*); None if there is none."""
        return next(self.all(record, body), None)

    def all(self, record: object, body: object = None) -> Iterator[object]:
        """Every meaningful value, in the order of the alternatives."""
        for from_body, steps in self.alternatives:
            value = _follow(body if from_body else record, steps)
            if value or not (value is None or isinstance(value, str | list | dict)):
                yield value


@lru_cache(4096)
def read_path(text: str) -> ValuePath:
    """The path that *text* is. Raises: ValueError, in words, if it is not a path."""
    if not text.strip():
        raise ValueError("a path names a value in the answer, for example data.id")
    return ValuePath(tuple(_alternative(part.strip()) for part in _parts(text)))


def _parts(text: str) -> list[str]:
    parts, at = [], 0
    while at <= len(text):
        match = _ALTERNATIVE.match(text, at)
        end = match.end() if match else at
        if end < len(text) and text[end] != "|":
            raise ValueError(f'the bracket at "{text[end:]}" is not closed')
        parts.append(text[at:end])
        at = end + 1
    return parts


def _alternative(text: str) -> tuple[bool, tuple[PathStep, ...]]:
    from_body = text == "@" or text.startswith(("@.", "@["))
    rest = text[1:].removeprefix(".") if from_body else text
    steps: list[PathStep] = []
    at = 0
    while at < len(rest):
        match = _STEP.match(rest, at)
        if match is None:
            raise ValueError(f'"{text}" is not a path: it stops making sense at "{rest[at:]}"')
        steps.append(_step(match))
        at = match.end()
        if match["name"] is None and at < len(rest) and rest[at] not in ".[":
            raise ValueError(f'"{text}": a dot is missing before "{rest[at:]}"')
        if at < len(rest) and rest[at] == ".":
            at += 1
            if at == len(rest):
                raise ValueError(f'"{text}" ends with a dot: name the key after it')
    if not steps and not from_body:
        raise ValueError("there is nothing between two bars: name a path, or take one bar away")
    return from_body, tuple(steps)


def _step(match: re.Match[str]) -> PathStep:
    if match["name"] is not None:
        return match["name"]
    return int(match["index"]) if match["index"] is not None else (match["key"].strip(), match["value"].strip())


def _follow(value: object, steps: tuple[PathStep, ...]) -> object:
    for step in steps:
        value = _next(value, step)
        if value is None:
            return None
    return value


def _next(value: object, step: PathStep) -> object:
    if isinstance(step, str):
        return value.get(step) if isinstance(value, dict) else None  # A tenth of the time of a check for a Mapping.
    if isinstance(value, dict):
        value = value.get(LIST)
    if not isinstance(value, list):
        return None
    if isinstance(step, int):
        return value[step] if step < len(value) else None
    key, word = step
    return next((one for one in value if isinstance(one, dict) and str(one.get(key)) == word), None)
