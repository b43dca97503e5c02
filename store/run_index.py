"""
What runs are found by: labels, words of their titles, and whether they need a person.

    {framerelay}:runs:label:NAME:VALUE   zset   runs with that label, by the time they were made
    {framerelay}:runs:word:LETTERS       zset   likewise, those with a word in title, labels or hook that begins so
    {framerelay}:runs:needs:person       zset   likewise, those that a person should look at

A run is in the indexes that its hash names (``indexes``), and moves in the step that changes it (`store/lua/save.lua`).
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from framerelay.runs.attention import needs_person
from framerelay.runs.model import Run, RunStatus

NEEDS_PERSON: Final = "needs:person"
BEGINNING_MAX: Final = 10  # Letters of a word by which it is found; the rest is compared when it is shown.
TEXT_MAX: Final = 200  # Characters of a title that are looked at.
ENTRIES_MAX: Final = 200  # For one run, about 20 KB at the very most.
# Scripts without spaces between words: there, each pair of neighbors is one.
_DENSE: Final = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f"
_WORD: Final = re.compile(rf"[{_DENSE}]+|(?:(?![{_DENSE}_])\w)+")
_IS_DENSE: Final = re.compile(rf"[{_DENSE}]")


def indexes_of(run: Run) -> str:
    """The names of the indexes that contain *run*, one per line."""
    needs = [NEEDS_PERSON] if needs_person(run) else []
    return "\n".join((*needs, *_names(run.title, tuple(sorted(run.labels.items())), run.hook)))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQuery:
    """Which runs: those that match all of it. ``text``: each of its words begins a word of the run."""

    status: RunStatus | None = None
    labels: tuple[tuple[str, str], ...] = ()
    text: str = ""
    needs_person: bool = False

    @property
    def indexes(self) -> list[str]:
        """Every run that is wanted is in all of these."""
        names = [f"label:{name}:{value}" for name, value in self.labels]
        names += [f"word:{part}" for word in _words(self.text) for part in _search_terms(word)]
        names += [NEEDS_PERSON] if self.needs_person else []
        return list(dict.fromkeys([*names, *([self.status.value] if self.status else [])]))

    def is_met(self, run: Run) -> bool:
        """Whether *run* matches in its current state: an index may be outdated if another version has saved it."""
        if self.status not in (None, run.status) or (self.needs_person and not needs_person(run)):
            return False
        has_labels = all(run.labels.get(name) == value for name, value in self.labels)
        words = _words(_text(run.title, tuple(run.labels.items()), run.hook))
        return has_labels and all(_is_among(word, words) for word in _words(self.text))


def has_words(text: str) -> bool:
    """Whether *text* can be searched for: punctuation alone cannot."""
    return bool(_words(text))


@lru_cache(maxsize=1024)
def _names(title: str, labels: tuple[tuple[str, str], ...], hook: str | None) -> tuple[str, ...]:
    own = [f"label:{name}:{value}" for name, value in labels]
    parts = dict.fromkeys(part for word in _words(_text(title, labels, hook)) for part in _beginnings(word))
    return (*own, *(f"word:{part}" for part in list(parts)[:ENTRIES_MAX]))


def _text(title: str, labels: tuple[tuple[str, str], ...], hook: str | None) -> str:
    return "\n".join((title[:TEXT_MAX], *(value for _, value in labels), hook or ""))


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def _beginnings(word: str) -> Iterator[str]:
    """What it is found by: its first letters; in a dense script each character, and each pair."""
    if _IS_DENSE.match(word):
        yield from word
        yield from map("".join, pairwise(word))
    else:
        yield from (word[:length] for length in range(1, min(len(word), BEGINNING_MAX) + 1))


def _search_terms(word: str) -> list[str]:
    if _IS_DENSE.match(word):
        return ["".join(pair) for pair in pairwise(word)] or [word]
    return [word[:BEGINNING_MAX]]


def _is_among(word: str, words: list[str]) -> bool:
    if _IS_DENSE.match(word):
        return any(word in each for each in words)
    return any(each.startswith(word) for each in words)
