"""
An English sentence of ours, matched with the messages of a catalog, and put into another language. Pure functions.

A message is ``shot {shot_id} has no take {take}``. A sentence is looked up as it is, then among the messages that share
a word with it, most literal first; the value of a name may be a sentence itself. Composed sentences are taken apart
where they were joined. No regular expression and no backtracking: provider's words come in here, and each message is
searched for in one pass over the text.

Words of others stay as they are: in quotes, and as values of the names in `VERBATIM`.
"""

import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from framerelay.languages.joints import OF_OTHERS, bracket_of, ids_in, join, several, split
from framerelay.languages.measures import both_with_currency

# Their values were written by a person, a provider or an operating system.
VERBATIM: Final = frozenset(
    {
        *("title", "prompt", "word", "url", "base", "path", "host"),
        *("folder", "file", "key", "variable", "address", "text"),
        *("label", "place", "said", "job_id", "run_id", "shot_id", "shot_name", "source"),
        *("hook", "model", "provider", "command", "argument", "option", "words_message"),
        *(
            "words_request_of",
            "said_request_of",
            "transport_words",
            "system_words",
            "last_words",
            "last_line",
            "verify_message",
        ),
        *("last_line", "verify_message", "begin", "shown", "msg", "keys"),
    }
)
# Said by an operating system or a program: the catalog has a few of their sentences.
SYSTEM: Final = frozenset({"system_words", "transport_words", "last_words", "last_line"})
# Their values are ids, one or more: a shot may have the name of one of our words.
IDS: Final = frozenset({"names", "dependents", "stale", "following", "later", "shot_ids", "shot_id", "shot_name"})
# Their values are numbers or measures.
MEASURES: Final = frozenset({"number", "seconds", "minutes", "amount", "whole", "most", "least", "low", "spent"})
PLACE: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z']{2,}")
_NUMBER: Final = re.compile(r"-?[0-9][0-9.,:]*")
_PLAIN_WORD: Final = re.compile(r"[a-z]{3,}[,.;:]?")
_WITHOUT_LETTERS: Final = dict.fromkeys(map(ord, string.ascii_letters))
_LETTERS: Final = re.compile(r"[A-Za-z]")
_ENDS: Final = " ,;:"
_JOINTS: Final = (("; ", "；"), (". ", "。"), (": ", "："), (", ", "，"))
WIDE: Final = {"; ": "；", ". ": "。", ": ": "：", ", ": "，", ";": "；", ",": "，", ":": "："}
_PLACE_IN_FILE: Final = re.compile(r"(line [0-9]+), (\S+)")
_CLOCK: Final = re.compile(r"([0-9]{1,2}):[0-9]{2}")
_STRONG: Final = 5
_WEAK_CHARS_MAX: Final = 40
_KNOWN_MAX: Final = 4096
_PIECES_MAX: Final = 40
_DEPTH_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class Message:
    """One message: the *literals* of its English around the *names*, and its wording in another language."""

    literals: tuple[str, ...]
    names: tuple[str, ...]
    quotes: frozenset[str]
    other: str
    letters: int

    def parts_of(self, text: str) -> dict[str, str] | None:
        """The value of each name in *text*; None if it is not this message."""
        if not self.names:
            return {} if text == self.literals[0] else None
        first, last = self.literals[0], self.literals[-1]
        if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
            return None
        at, end, parts = len(first), len(text) - len(last), {}
        for name, literal in zip(self.names[:-1], self.literals[1:-1], strict=True):
            begins_at = text.find(literal, at, end)
            if begins_at < 0:
                return None
            parts[name] = text[at:begins_at]
            at = begins_at + len(literal)
        parts[self.names[-1]] = text[at:end]
        return parts if all(_can_be(name, part) for name, part in parts.items()) else None

    def splits_of(self, text: str) -> Iterator[dict[str, str]]:
        """`parts_of`, plus the alternative parts if the text between the last two also occurs within the one before."""
        parts = self.parts_of(text)
        if parts is None:
            return
        yield parts
        if len(self.names) > 1 and self.literals[-2] in parts[self.names[-1]]:
            before, last = self.names[-2:]
            more, _, rest = parts[last].rpartition(self.literals[-2])
            other = {**parts, before: f"{parts[before]}{self.literals[-2]}{more}", last: rest}
            if all(_can_be(name, part) for name, part in other.items()):
                yield other

    @property
    def is_strong(self) -> bool:
        """Whether its own words distinguish it from those of others."""
        return self.letters >= _STRONG


def _count(text: str) -> int:
    return len(text) - len(text.translate(_WITHOUT_LETTERS))


def _can_be(name: str, part: str) -> bool:
    stem = name.rstrip("0123456789")
    if stem == "shot_ids":
        return ids_in(part) is not None
    return stem not in MEASURES or (bool(_NUMBER.fullmatch(part)) if stem == "number" else part[:1].isdigit())


def message_of(english: str, other: str) -> Message:
    """The message that a catalog has."""
    pieces = PLACE.split(english)
    literals, names = tuple(pieces[::2]), tuple(pieces[1::2])
    quotes = frozenset(
        name
        for name, before, after in zip(names, literals, literals[1:], strict=False)
        if before.endswith("the provider says: ") or (before.endswith(('"', "`")) and after.startswith(('"', "`")))
    )
    letters = sum(_count(each) for each in literals)
    return Message(literals=literals, names=names, quotes=quotes, other=other, letters=letters)


class Sentences:
    """The messages of one language; *money*: an amount such as ``1.50 USD`` in it, None if it is none."""

    def __init__(self, catalog: Mapping[str, str], money: Callable[[str], str | None] = lambda text: None) -> None:
        self._money = money
        self._exact = {english: other for english, other in catalog.items() if other and not PLACE.search(english)}
        self._by_word: dict[str, list[tuple[int, Message]]] = {}
        self._tails: list[Message] = []
        self._lists: list[Message] = []
        self._cache: dict[str, Reading | None] = {}
        messages = [message_of(english, other) for english, other in catalog.items() if other]
        for rank, message in enumerate(sorted(messages, key=_order)):
            if message.names:
                self._by_word.setdefault(_key_of(message), []).append((rank, message))
            if message.literals[0].startswith(" "):
                self._tails.append(message)
            if message.names and message.literals[0] and IDS.issuperset(message.names):
                self._lists.append(message)

    def translate(self, text: str) -> str:
        """*text* in this language; anything that is not ours, or not known, stays as it is."""
        if "\n" in text:
            return "\n".join(self.translate(line) for line in text.split("\n"))
        if len(self._cache) > _KNOWN_MAX:
            self._cache.clear()
        search = _Search(self._exact, self._by_word, self._tails, self._lists, self._money, self._cache)
        reading = search.find(text.strip(), 0)
        return (
            text if reading is None else f"{text[: len(text) - len(text.lstrip())]}{reading.text}{_blanks_after(text)}"
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """A sentence in another language, and how many letters of the English one were recognized."""

    text: str
    letters: int


@dataclass(slots=True)
class _Search:
    """
    One sentence, and everything that it may be composed of: of several readings, the one that leaves the least unknown.

    ``readings``: what each part was found to be, since parts occur again in other ones; ``cache``: in other sentences.
    """

    exact: Mapping[str, str]
    by_word: Mapping[str, list[tuple[int, Message]]]
    tails: Sequence[Message]
    lists: Sequence[Message]
    money: Callable[[str], str | None]
    cache: dict[str, Reading | None]
    readings: dict[str, Reading | None] = field(default_factory=dict)

    def find(self, text: str, depth: int) -> Reading | None:
        """*text* in this language, or None if nothing in it is known."""
        if depth > _DEPTH_MAX or not _LETTERS.search(text):
            return None
        if text in self.cache:
            return self.cache[text]
        if text not in self.readings:
            self.readings[text] = None  # A text that contains itself is nothing.
            self.readings[text] = self._best(text, depth)
            if depth < _DEPTH_MAX // 2:  # Deeper ones may have been cut off.
                self.cache[text] = self.readings[text]
        return self.readings[text]

    def _best(self, text: str, depth: int) -> Reading | None:
        if amount := self.money(text):
            return Reading(amount, _count(text))
        text = both_with_currency(text)
        if (whole := self._as_it_is(text)) is not None:
            return whole
        best, letters = None, _count(text)
        for reading in self._readings(text, depth):
            if best is None or reading.letters > best.letters:
                best = reading
            if best.letters >= letters:
                break
        return best

    def _readings(self, text: str, depth: int) -> Iterator[Reading]:
        if in_file := _PLACE_IN_FILE.fullmatch(text):  # A key, though it may be a word of ours as well.
            line = self.find(in_file[1], depth + 1)
            yield Reading(f"{line.text if line else in_file[1]}，{in_file[2]}", _count(text))
        yield from self._with_ids(text, depth)
        if not OF_OTHERS.match(text):
            yield from self._without_ends(text, depth)
            yield from self._in_pieces(text, depth)
            yield from self._with_tail(text, depth)
        yield from self._whole(text, depth)

    def _as_it_is(self, text: str) -> Reading | None:
        for start in _beginnings(text):
            for end in ("", "."):
                if start.endswith(end) and (other := self.exact.get(start.removesuffix(end) if end else start)):
                    return Reading(other + ("。" if end else ""), _count(text))
        return None

    def _with_ids(self, text: str, depth: int) -> Iterator[Reading]:
        """One of the messages about ids only: nothing in them is a sentence."""
        for start in _beginnings(text.removesuffix(".")):
            for message in self.lists:
                parts = message.parts_of(start)
                if parts and all(map(ids_in, parts.values())):
                    reading = self._fill(message, parts, depth)
                    yield Reading(f"{reading.text}。" if text.endswith(".") else reading.text, reading.letters)

    def _whole(self, text: str, depth: int) -> Iterator[Reading]:
        for start in _beginnings(text):
            words = {"", *_WORD.findall(start)}
            for _, message in sorted(message for word in words for message in self.by_word.get(word, ())):
                for parts in message.splits_of(start) if _leaves_others_alone(message, start) else ():
                    if message.is_strong or self._are_small(parts.values(), depth):
                        yield self._fill(message, parts, depth)

    def _are_small(self, parts: Iterable[str], depth: int) -> bool:
        """Whether each of *parts* is one word, or known: little else tells a short message from others' words."""
        return all((_is_small(part) and " " not in part.strip()) or self._is_known(part, depth) for part in parts)

    def _is_known(self, part: str, depth: int) -> bool:
        reading = self.find(part.strip(_ENDS), depth + 1)
        return reading is not None and reading.letters >= _count(part)

    def _fill(self, message: Message, parts: Mapping[str, str], depth: int) -> Reading:
        """*message* with its *parts*, in the other language."""
        letters, words = message.letters, ""
        for place, piece in enumerate(PLACE.split(message.other)):
            if place % 2:
                reading = self._part(message, piece, parts.get(piece, ""), depth)
                letters += reading.letters
                words = join(words, reading.text)
            else:
                words = join(words, piece)
        return Reading(words, letters)

    def _part(self, message: Message, name: str, part: str, depth: int) -> Reading:
        """The value of a name; joints at its ends belong to the sentence."""
        if name in IDS and name not in message.quotes and (ids := ids_in(part)):
            return Reading(ids, _count(part))
        if name in message.quotes or name.rstrip("0123456789") in VERBATIM:
            return self._of_the_system(part) if name in SYSTEM else _as_a_name(part)
        if message.literals[-1] == " ago" and (clock := _CLOCK.fullmatch(part)):
            part = f"{clock[1]} min"  # Otherwise it looks like a time of day.
        inner = part.strip(_ENDS)
        reading = self.find(inner, depth + 1)
        if reading is None and (names := several(inner)):
            reading = Reading(names, _count(inner))
        if reading is None:
            return _as_a_name(part)
        before, _, after = part.partition(inner)
        words = join(WIDE.get(before, before), reading.text)
        return Reading(join(words, WIDE.get(after, after)), reading.letters)

    def _of_the_system(self, part: str) -> Reading:
        """The words of a system or a program, after the error's name, if the catalog has exactly that sentence."""
        name, colon, words = part.rpartition(": ")
        other = self.exact.get(words.lower())
        return Reading(f"{name}{WIDE.get(colon, colon)}{other}", _count(part)) if other else _as_a_name(part)

    def _without_ends(self, text: str, depth: int) -> Iterator[Reading]:
        """Without its period or colon, or the brackets around it."""
        if OF_OTHERS.search(text):
            return
        if text.endswith(".") and not text.endswith("..") and (reading := self.find(text[:-1], depth + 1)):
            yield Reading(f"{reading.text}。", reading.letters)
        if text.endswith(":") and (reading := self.find(text[:-1], depth + 1)):
            yield Reading(f"{reading.text}：", reading.letters)
        is_bracketed = text.startswith("(") and text.endswith(")") and text.count("(") == 1
        if is_bracketed and (reading := self.find(text[1:-1], depth + 1)):
            yield Reading(f"（{reading.text}）", reading.letters)

    def _in_pieces(self, text: str, depth: int) -> Iterator[Reading]:
        """Taken apart at each kind of joint, if one of its parts is ours."""
        for joint, wide in _JOINTS:
            pieces = split(text, joint)
            if 1 < len(pieces) <= _PIECES_MAX:
                yield from self._together(pieces, wide, depth)
            if 2 < len(pieces) <= _PIECES_MAX:
                yield from self._together([pieces[0], joint.join(pieces[1:])], wide, depth)
                yield from self._together([joint.join(pieces[:-1]), pieces[-1]], wide, depth)
        if text.endswith(")") and (at := bracket_of(text)) > 0 and not OF_OTHERS.search(text[:at]):
            outer, inner = self.find(text[:at], depth + 1), self._in_brackets(text[at + 1 :], depth)
            if outer or inner:
                head, tail = outer or Reading(text[:at], 0), inner or Reading(f"（{text[at + 2 : -1]}）", 0)
                yield Reading(head.text + tail.text, head.letters + tail.letters)

    def _in_brackets(self, text: str, depth: int) -> Reading | None:
        """The part in brackets after a sentence; some messages include theirs."""
        if inner := self.find(text[1:-1], depth + 1):
            return Reading(f"（{inner.text}）", inner.letters)
        if names := several(text[1:-1]):
            return Reading(f"（{names}）", _count(names))
        return self.find(text, depth + 1)

    def _together(self, pieces: Sequence[str], wide: str, depth: int) -> Iterator[Reading]:
        readings = [self.find(piece, depth + 1) for piece in pieces]
        if any(readings):
            words = [piece if one is None else one.text for piece, one in zip(pieces, readings, strict=True)]
            yield Reading(wide.join(words), sum(one.letters for one in readings if one))

    def _with_tail(self, text: str, depth: int) -> Iterator[Reading]:
        """Texts that end with one of the messages that begin with a space: they follow others."""
        ending = f" {text}"
        for message in self.tails:
            at = ending.find(message.literals[0])
            if at >= 0 and (parts := message.parts_of(ending[at:])) is not None:
                tail = self._fill(message, parts, depth + 1)
                head = self.find(ending[1:at], depth + 1) or Reading(ending[1:at], 0)
                yield Reading(join(head.text, tail.text), head.letters + tail.letters)


def _as_a_name(part: str) -> Reading:
    """*part* unchanged: known, if it must be a name or an id."""
    is_name = " " not in part and not _PLAIN_WORD.fullmatch(part)
    return Reading(part, _count(part) if is_name else 0)


def _leaves_others_alone(message: Message, text: str) -> bool:
    """Whether *message* would not begin or end within a provider's words: it says itself where those begin."""
    place = OF_OTHERS.search(text)
    if place is None or any(OF_OTHERS.search(literal) for literal in message.literals):
        return True
    begins = message.literals[0] or (message.literals[1] if len(message.literals) > 1 else "")
    return bool(begins.strip()) and 0 <= text.find(begins) < place.start()


def _beginnings(text: str) -> tuple[str, ...]:
    """*text*, and its form within a sentence."""
    return (text, text[:1].lower() + text[1:]) if text[:1].isupper() and not text.startswith("HTTP ") else (text,)


def _blanks_after(text: str) -> str:
    return text[len(text.rstrip()) :]


def _is_small(part: str) -> bool:
    return len(part) <= _WEAK_CHARS_MAX and not any(joint in part for joint, _ in _JOINTS)


def _order(message: Message) -> tuple[bool, int, int]:
    """Those that begin with their own words first, then most literal."""
    return not message.literals[0], -message.letters, -sum(map(len, message.literals))


def _key_of(message: Message) -> str:
    """The longest word that certainly is in every sentence of this message; empty if none does."""
    words: list[str] = []
    last = len(message.literals) - 1
    for place, literal in enumerate(message.literals):
        for word in _WORD.finditer(literal):
            cut_before = place > 0 and word.start() == 0
            cut_after = place < last and word.end() == len(literal)
            if not cut_before and not cut_after:
                words.append(word[0])
    return max(words, key=len, default="")
