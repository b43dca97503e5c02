"""
A document, checked part by part: each part knows its value, its place, and where to report mistakes about it.

A question without a good answer reports a mistake and returns None, so that one reading finds every mistake.
"""

import difflib
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from framerelay.config.urls import parse_url
from framerelay.runs.errors import Mistake, StoryboardInvalid
from framerelay.storyboards.documents import Document, Path, Spot, line_at, place_of
from framerelay.storyboards.notation import excerpt, wide_sign

NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
INTEGER_MAX: Final = 2**63 - 1
# Searching for similar names takes some 20 µs each: enough are compared to help with a typo, and no more.
SUGGESTIONS_MAX: Final = 20
NEAR_NAMES_MAX: Final = 40


@dataclass(slots=True, kw_only=True)
class Notes:
    """
    The mistakes found so far in one document.

    ``strange``: some unknown keys of each group, by its path. ``wrong``: the path of each mistake.
    """

    spot: Spot | None = None
    strange: dict[Path, list[str]] = field(default_factory=dict)
    wrong: list[Path] = field(default_factory=list)
    _mistakes: list[tuple[int, tuple[int, ...], Mistake]] = field(default_factory=list)

    def add(self, path: Path, order: tuple[int, ...], message: str, line: int | None = None) -> None:
        """Report a mistake; its line is that of the innermost part of *path* that was written."""
        self.wrong.append(path)
        line = line or line_at(self.spot, path)
        self._mistakes.append((line or 0, order, Mistake(place=place_of(path), message=message, line=line)))

    def raise_if_any(self) -> None:
        """Raises: StoryboardInvalid with every mistake, in the order of the document."""
        if self._mistakes:
            raise StoryboardInvalid([mistake for _, _, mistake in sorted(self._mistakes, key=lambda entry: entry[:2])])


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One value of a document. ``order``: its position, which sorts mistakes where lines are not known."""

    value: object
    notes: Notes
    path: Path = ()
    order: tuple[int, ...] = ()

    def complain(self, message: str, *, about: str | None = None) -> None:
        """Report a mistake here, or at the key *about* in here."""
        self.notes.add(self.path if about is None else (*self.path, about), self.order, message)

    def miss(self, *keys: str, message: str) -> None:
        """Report that the first of *keys* is missing, unless a misspelling of one has already been reported here."""
        if not any(_near(key, self.notes.strange.get(self.path, ())) for key in keys):
            self.complain(message, about=keys[0])

    def group(self, names: Collection[str], *, elsewhere: Mapping[str, str] | None = None) -> dict[str, "Part"] | None:
        """
        The contents, key by key; only the keys *names*, every other one is a mistake.

        *elsewhere*: for keys that people wrongly look for here, the sentence that redirects them.
        """
        parts = self._inner()
        if parts is None:
            return None
        strange = self.notes.strange.setdefault(self.path, [])
        for key in [key for key in parts if key not in names]:
            part = parts.pop(key)
            if elsewhere and key in elsewhere:
                part.complain(elsewhere[key])
            elif len(strange) < SUGGESTIONS_MAX:
                strange.append(key)
                part.complain(unknown(key, names))
            else:
                part.complain(unknown(key, ()))
        return parts

    def named_parts(self) -> dict[str, "Part"] | None:
        """The contents under names that the writer chose."""
        parts = self._inner()
        for name, part in (parts or {}).items():
            if not NAME.fullmatch(name):
                part.complain(_no_name(name))
        return parts

    def _inner(self) -> dict[str, "Part"] | None:
        if not isinstance(self.value, dict):
            self.complain(f"expected keys with values, found {describe_value(self.value)}")
            return None
        return {
            str(key): Part(value=value, notes=self.notes, path=(*self.path, str(key)), order=(*self.order, position))
            for position, (key, value) in enumerate(self.value.items())
        }

    def items(self) -> list["Part"] | None:
        """The entries of a list."""
        if not isinstance(self.value, list):
            self.complain(f"expected a list, found {describe_value(self.value)}: begin each entry with a dash")
            return None
        return [
            Part(value=value, notes=self.notes, path=(*self.path, index), order=(*self.order, index))
            for index, value in enumerate(self.value)
        ]

    def text(self) -> str | None:
        """Some text, without the blanks around it."""
        if not isinstance(self.value, str):
            advice = f': put it in quotes, "{_as_written(self.value)}"' if _is_scalar(self.value) else ""
            self.complain(f"expected text, found {describe_value(self.value)}{advice}")
        elif not self.value.strip():
            self.complain("this text is empty; write something or leave the key out")
        elif any("\ud800" <= sign <= "\udfff" for sign in self.value):
            self.complain("this text holds half a character (a lone \\ud… code); write the character itself")
        else:
            return self.value.strip()
        return None

    def word(self, word: str) -> bool:
        """Nothing but *word*; whether it is there."""
        if self.value != word:
            self.complain(f"expected the word {word}, found {describe_value(self.value)}")
        return self.value == word

    def name(self) -> str | None:
        """A name that can be in a URL and in a file's name."""
        text = self.text()
        if text is None or NAME.fullmatch(text):
            return text
        self.complain(_no_name(text))
        return None

    def whole_number(self, least: int = -INTEGER_MAX, most: int = INTEGER_MAX) -> int | None:
        """A whole number from *least* to *most*."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int):
            self.complain(f"expected a whole number, found {describe_value(value)}{_number_hint(value, whole=True)}")
        elif not least <= value <= most:
            limits = f"from {least} to {most}" if most < INTEGER_MAX else f"of {least} or more"
            self.complain(f"expected a whole number {limits}, found {_as_written(value)}")
        else:
            return value
        return None

    def number(self) -> int | float | None:
        """A number that can be sent as JSON."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.complain(f"expected a number, found {describe_value(value)}{_number_hint(value, whole=False)}")
        elif not math.isfinite(value) or abs(value) > INTEGER_MAX:
            self.complain(f"expected an ordinary number, found {_as_written(value)}")
        else:
            return value
        return None

    def boolean(self) -> bool | None:
        """True or false."""
        if isinstance(self.value, bool):
            return self.value
        hint = ""
        if isinstance(self.value, str) and self.value.lower() in ("true", "yes", "on", "false", "no", "off"):
            hint = f": write {'true' if self.value.lower() in ('true', 'yes', 'on') else 'false'}, without quotes"
        self.complain(f"expected true or false, found {describe_value(self.value)}{hint}")
        return None

    def web_address(self) -> str | None:
        """A URL with http or https."""
        text = self.text()
        if text is None or is_web_address(text):
            return text
        begins = text.startswith(("https://", "http://"))
        kind = (
            "a URL with a host name that can be looked up" if begins else "a URL that begins with https:// or http://"
        )
        self.complain(f'expected {kind}, found "{excerpt(text)}"')
        return None


def root_of(document: Document) -> Part:
    """The whole of *document* as a part; duplicate keys are already reported."""
    notes = Notes(spot=document.spot)
    for path, line in document.repeats:
        key = excerpt(str(path[-1]))
        notes.add(path, (), f'the key "{key}" stands here a second time; remove one of the two', line)
    return Part(value=document.value, notes=notes)


def near(word: str, names: Collection[str]) -> str:
    """`` (did you mean "…"?)``, or empty if none of the first names is similar."""
    matches = [f'"{name}"' for name in _near(word, names)]
    return f" (did you mean {' or '.join(matches)}?)" if matches else ""


def is_near(word: object, name: str) -> bool:
    """Whether *word* may be a misspelling of *name*."""
    return bool(_near(str(word), (name,)))


def _near(word: str, names: Collection[str]) -> list[str]:
    lower = {name.lower()[:60]: name for name in islice(names, NEAR_NAMES_MAX)}
    return [lower[match] for match in difflib.get_close_matches(word.lower()[:60], lower, n=2, cutoff=0.7)]


def is_web_address(text: str) -> bool:
    """Whether *text* is an http(s) URL with a host, on one line."""
    try:
        url = parse_url(text)
        return url.scheme in ("http", "https") and bool(url.host) and not re.search(r"\s", text)
    except ValueError:
        return False


def describe_value(value: object) -> str:
    """What was found, in words: ``the text "5"``, ``the number 5``, ``a list``."""
    match value:
        case None:
            return "nothing"
        case str():
            return f'the text "{excerpt(value)}"'
        case bool():
            return _as_written(value)
        case int() | float():
            return f"the number {_as_written(value)}"
        case list():
            return "a list"
        case dict():
            return "a group of keys"
        case _:
            return f"something of type {type(value).__name__}"


def _no_name(text: str) -> str:
    return f'"{excerpt(text)}" cannot be a name here: use 1 to 40 of A-Z, a-z, 0-9, - and _'


def unknown(key: str, names: Collection[str], *, kind: str = "key") -> str:
    """A sentence about a name that is not among *names*, with the most similar of them, or all if they are few."""
    wide = wide_sign(key)
    hint = f"; {wide}" if wide else near(key, names)
    if not hint and 0 < len(names) <= 16:
        hint = f"; known here: {', '.join(names)}"
    return f'unknown {kind} "{excerpt(key)}"{hint}'


def _number_hint(value: object, *, whole: bool) -> str:
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,15}" if whole else r"-?[0-9]{1,15}(\.[0-9]+)?", value):
        return f": write {value} without quotes"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f": write {int(value)}"
    return ""


def _is_scalar(value: object) -> bool:
    return isinstance(value, bool | int | float)


def _as_written(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() if abs(value) > 10**40:
            return "a very long one"
        case _:
            return str(value)
