"""YAML 1.2 and JSON split into the same events, in the order of the text and each with its line, for `documents`."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Literal

from ruamel.yaml import YAML
from ruamel.yaml import events as yaml_events
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from framerelay.runs.errors import Mistake, StoryboardInvalid

Form = Literal["yaml", "json"]

DEPTH_MAX: Final = 20
NUMBER_CHARS_MAX: Final = 40
TAG_CHARS_MAX: Final = 10_000  # The parser's time for a tag grows with the square of its length.


class PieceKind(Enum):
    """What a piece does."""

    GROUP = auto()
    LIST = auto()
    END = auto()
    VALUE = auto()
    ALIAS = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One event of a document. ``text``: a scalar as it is written, or the name of an alias."""

    kind: PieceKind
    line: int
    value: object = None
    text: str = ""
    anchor: str | None = None


def pieces_of(text: str, *, form: Form) -> Iterator[Piece]:
    """
    The events of *text*, produced on demand.

    Raises: StoryboardInvalid at the first thing that is not *form*, with its line.
    """
    return _yaml_pieces(text) if form == "yaml" else _json_pieces(text)


def excerpt(text: str) -> str:
    """*text* in a form for messages: one short line, whatever it contained."""
    short = text if len(text) <= 40 else f"{text[:39]}…"
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in short)


# As typed on a Chinese or Japanese keyboard where YAML has its own: after a key, between two, around a text.
_WIDE: Final = re.compile(r"(?:^\s*(?:- )?|[{,，]) *\w{1,40} *(：)|(，) *\w{1,40} *[:：]|[:：] *([“”「])", re.ASCII)
_NARROW: Final = {"：": "a colon and a space", "，": "a comma and a space"}


def wide_sign(line: str) -> str | None:
    """What to do about a wide character in *line* that looks as if it should be one of YAML's own; None without one."""
    if not (match := _WIDE.search(line)):
        return None
    sign = next(filter(None, match.groups()))
    return f'"{sign}" is not valid YAML here: write {_NARROW.get(sign, "plain quotes")}'


def stop(message: str, line: int | None = None) -> StoryboardInvalid:
    """The one mistake after which nothing more can be read."""
    return StoryboardInvalid([Mistake(place="storyboard", message=message, line=line)])


# --- JSON --------------------------------------------------------------------------------------------------------

_SIGN: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]|[^\s{}\[\],:"]+', re.DOTALL)
_OPENING: Final = {"{": PieceKind.GROUP, "[": PieceKind.LIST}


def _json_pieces(text: str) -> Iterator[Piece]:
    """The standard library checks the syntax; what it accepts is walked again, because it does not report lines."""
    try:
        json.loads(text, parse_int=float)  # As float: int refuses thousands of digits with a different error.
    except json.JSONDecodeError as error:
        if not text.strip():
            return
        raise _json_mistake(error) from None
    except RecursionError:
        raise stop(f"this is nested more than {DEPTH_MAX} levels deep") from None
    line, at = 1, 0
    for match in _SIGN.finditer(text):
        line, at, sign = line + text.count("\n", at, match.start()), match.start(), match.group()
        if sign in _OPENING:
            yield Piece(kind=_OPENING[sign], line=line)
        elif sign in "}]":
            yield Piece(kind=PieceKind.END, line=line)
        else:
            value = json.loads(sign) if sign[0] == '"' else _scalar(sign)
            yield Piece(kind=PieceKind.VALUE, line=line, value=value, text=value if isinstance(value, str) else sign)


_COMMA_TOO_MANY: Final = re.compile(r"\s*,\s*([}\]])")


def _json_mistake(error: json.JSONDecodeError) -> StoryboardInvalid:
    """The library's words, except for a trailing comma: it would name what it expected after that."""
    before = error.doc[: error.pos].rstrip().removesuffix(",")  # Its position depends on the version.
    if last := _COMMA_TOO_MANY.match(error.doc, len(before)):
        comma = error.doc.count("\n", 0, error.doc.index(",", len(before))) + 1
        return stop(f"this is not JSON: the last comma before {last[1]} is one too many", comma)
    return stop(f"this is not JSON: {error.msg[:1].lower()}{error.msg[1:]}", error.lineno)


# --- YAML --------------------------------------------------------------------------------------------------------

_WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_ODD_FLOAT: Final = re.compile(r"[-+]?\.?(inf|Inf|INF|Infinity)|\.nan|\.NaN|\.NAN|NaN")
_TEXT_TAGS: Final = ("!", "tag:yaml.org,2002:str")


def _yaml_pieces(text: str) -> Iterator[Piece]:
    """The events of the parser; values are read by our own few rules, which are exactly those of YAML 1.2."""
    documents = 0
    if any(len(word) > TAG_CHARS_MAX and "!" in word for word in text.split()):
        raise stop(f"there is a ! among more than {TAG_CHARS_MAX} signs without a space; no tag is that long")
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            if isinstance(event, yaml_events.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise stop("a second document starts here; one file holds one", event.start_mark.line + 1)
            piece = _yaml_piece(event)
            if piece is not None:
                yield piece
    except YAMLError as error:
        raise _yaml_mistake(error, text) from None
    except (ValueError, OverflowError):  # From the parser itself, at \UFFFFFFFF or a version of 5,000 digits.
        raise stop("a code after a backslash, or the number of a %YAML line, is larger than any there is") from None


def _yaml_piece(event: yaml_events.Event) -> Piece | None:
    line = event.start_mark.line + 1
    match event:
        case yaml_events.AliasEvent():
            return Piece(kind=PieceKind.ALIAS, line=line, text=event.anchor)
        case yaml_events.CollectionEndEvent():
            return Piece(kind=PieceKind.END, line=line)
        case yaml_events.ScalarEvent() | yaml_events.CollectionStartEvent():
            tag = None if event.ctag is None else str(event.ctag)
            if tag is not None and tag not in _TEXT_TAGS:
                raise stop(f"the tag {excerpt(tag)} is not read here; leave it out", line)
        case _:
            return None
    if isinstance(event, yaml_events.ScalarEvent):
        plain = event.implicit[0] and tag is None
        text = _pair_surrogates(event.value)
        return Piece(
            kind=PieceKind.VALUE, line=line, value=_scalar(text) if plain else text, text=text, anchor=event.anchor
        )
    kind = PieceKind.GROUP if isinstance(event, yaml_events.MappingStartEvent) else PieceKind.LIST
    return Piece(kind=kind, line=line, anchor=event.anchor)


def _scalar(text: str) -> object:
    """The value of an unquoted word, by the core schema of YAML 1.2; JSON's words are among them."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and len(text) <= NUMBER_CHARS_MAX:
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _ODD_FLOAT.fullmatch(text):
        return float(text.lower().replace(".", ""))
    return text


def _pair_surrogates(text: str) -> str:
    """Two escaped halves of one character joined, as JSON would: ``\\ud83d\\ude00`` is legal in both."""
    if not any("\ud800" <= sign <= "\udfff" for sign in text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


_IN_PLAIN_WORDS: Final = {
    "mapping values are not allowed": "a colon followed by a space cannot stand here: put the text in quotes, or "
    "correct the indentation",
    "character '\\t'": "there is a tab where only spaces may be: indent with spaces",
    "that cannot start any token": "a text cannot begin with this sign: put the text in quotes",
    "unexpected end of stream": "a quote is opened and never closed",
    "expected ',' or '}'": "a comma or a closing } is missing, or a text with a colon in it has no quotes",
    "expected ',' or ']'": "a comma or a closing ] is missing, or a text with a colon in it has no quotes",
    "expected <block end>": "this line is not indented like its neighbors",
    "could not find expected ':'": "a colon is missing after this word",
    "unknown escape character": "a backslash between double quotes begins a code: write \\\\ for one, or use single "
    "quotes",
}


def _yaml_mistake(error: YAMLError, text: str) -> StoryboardInvalid:
    """One plain sentence for what the parser says in terms of its grammar."""
    if not isinstance(error, MarkedYAMLError):
        position = getattr(error, "position", 0)
        return stop("there is a control character here; remove it", text.count("\n", 0, position) + 1)
    problem = str(error.problem or error.context or "it cannot be understood")
    sentence = next((words for sign, words in _IN_PLAIN_WORDS.items() if sign in problem), problem)
    mark = error.problem_mark or error.context_mark
    line = None if mark is None else mark.line + 1
    start_line = None if error.context_mark is None else error.context_mark.line + 1
    since = f" (it began in line {start_line})" if start_line and start_line != line else ""
    for near in (start_line, line and line - 1, line):  # A key without its colon is only noticed a line later.
        if near and (wide := wide_sign("".join(text.split("\n")[near - 1 : near]))):
            return stop(wide, near)
    return stop(f"this is not YAML: {sentence}{since}", line)
