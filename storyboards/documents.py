"""
Text into plain values, with the line of each: YAML 1.2 and JSON are built by the same code and equally reliable.

Nothing here knows what a storyboard is: `storyboards.parts` asks the questions, `storyboards.storyboard` knows the
answers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from framerelay.config.text import text_of
from framerelay.storyboards.notation import DEPTH_MAX, Form, Piece, PieceKind, excerpt, pieces_of, stop, wide_sign

Path = tuple[str | int, ...]

# A storyboard of 500 shots has some 10,000 values in 100 KiB. The YAML reader manages about 30,000 values or 500 KiB
# of text a second, so that the largest document that we read at all costs about a second.
TEXT_BYTES_MAX: Final = 512 * 1024
VALUES_MAX: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where a value is: its line, counted from 1, and the positions of its contents."""

    line: int
    inside: Mapping[str | int, "Spot"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """
    What a text says.

    ``value``: dicts with text as keys, lists, text, numbers, booleans, None. ``repeats``: duplicate keys (the later one
    was dropped), each with its path and line.
    """

    value: object
    spot: Spot
    repeats: tuple[tuple[Path, int], ...] = ()


def read_document(text: str | bytes, *, form: Form) -> Document:
    """
    Read *text*; YAML aliases are followed; tags, merge keys and a second document are not supported.

    Raises: StoryboardInvalid with one mistake for whatever prevents reading: syntax, encoding, size.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(data) > TEXT_BYTES_MAX:
        raise stop(f"this is larger than {TEXT_BYTES_MAX // 1024} KiB; give images as files or URLs, not in the text")
    try:
        plain = text_of(data)
    except UnicodeDecodeError as error:
        wrong = f"this is not UTF-8 text (byte 0x{data[error.start]:02x}); save the file as UTF-8"
        raise stop(wrong, data.count(b"\n", 0, error.start) + 1) from None
    document = _build(pieces_of(plain, form=form))
    if isinstance(document.value, str) and (
        wide := wide_sign(document.value[:200])
    ):  # It was meant to have colons, and has none.
        raise stop(wide, document.spot.line)
    return document


def place_of(path: Path) -> str:
    """*path* as a mistake names it: ``scenes[0].shots[2].from``; the whole is ``storyboard``."""
    words = "".join(f"[{step}]" if isinstance(step, int) else f".{excerpt(step)}" for step in path)
    return words.removeprefix(".") or "storyboard"


def line_at(spot: Spot | None, path: Path) -> int | None:
    """The line of the innermost part of *path* that was written; None if no lines are known."""
    for step in path:
        inner = spot.inside.get(step) if spot else None
        if inner is None:
            break
        spot = inner
    return spot.line if spot else None


# --- the builder -------------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class _Open:
    """A group or list that is not closed yet. ``weight``: that of the document when it was opened."""

    value: dict[str, object] | list[object]
    line: int
    anchor: str | None = None
    weight: tuple[int, int] = (0, 0)
    key: str | None = None
    key_line: int = 0
    inside: dict[str | int, Spot] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Anchor:
    value: object
    spot: Spot
    values: int
    chars: int


def _build(pieces: Iterator[Piece]) -> Document:
    builder = _Builder()
    for piece in pieces:
        builder.add(piece)
    return builder.document()


class _Builder:
    """Assembles events; it counts aliases as if they were written out, so that ten lines cannot fill the memory."""

    def __init__(self) -> None:
        self._whole: list[object] = []
        self._stack = [_Open(value=self._whole, line=1)]
        self._anchors: dict[str, _Anchor] = {}
        self._repeats: list[tuple[Path, int]] = []
        self._values = 0
        self._chars = 0

    def add(self, piece: Piece) -> None:
        top = self._stack[-1]
        if piece.kind is PieceKind.END:
            self._close()
        elif isinstance(top.value, dict) and top.key is None:
            self._take_key(top, piece)
        elif piece.kind is PieceKind.ALIAS:
            self._place_alias(piece)
        elif piece.kind is PieceKind.VALUE:
            self._grow(1, len(piece.text), piece.line)
            self._place(piece.value, Spot(line=piece.line), piece.anchor, 1, len(piece.text))
        else:
            self._open(piece)

    def document(self) -> Document:
        if not self._whole:
            return Document(value=None, spot=Spot(line=1))
        return Document(value=self._whole[0], spot=self._stack[0].inside[0], repeats=tuple(self._repeats))

    def _take_key(self, top: _Open, piece: Piece) -> None:
        if piece.kind is not PieceKind.VALUE:
            raise stop("a key must be a word; there is a list, a group or an alias in its place", piece.line)
        self._grow(1, len(piece.text), piece.line)
        top.key, top.key_line = piece.text, piece.line

    def _open(self, piece: Piece) -> None:
        if len(self._stack) > DEPTH_MAX:
            raise stop(f"this is nested more than {DEPTH_MAX} levels deep", piece.line)
        before = (self._values, self._chars)
        self._grow(1, 0, piece.line)
        value: dict[str, object] | list[object] = {} if piece.kind is PieceKind.GROUP else []
        self._stack.append(_Open(value=value, line=piece.line, anchor=piece.anchor, weight=before))

    def _close(self) -> None:
        part = self._stack.pop()
        values, chars = self._values - part.weight[0], self._chars - part.weight[1]
        self._place(part.value, Spot(line=part.line, inside=part.inside), part.anchor, values, chars)

    def _place_alias(self, piece: Piece) -> None:
        anchor = self._anchors.get(piece.text)
        if anchor is None:
            raise stop(
                f"*{excerpt(piece.text)} refers to nothing: no &{excerpt(piece.text)} ends before it", piece.line
            )
        self._grow(anchor.values, anchor.chars, piece.line)
        self._place(anchor.value, Spot(line=piece.line, inside=anchor.spot.inside), None, 0, 0)

    def _place(self, value: object, spot: Spot, anchor: str | None, values: int, chars: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = _Anchor(value=value, spot=spot, values=values, chars=chars)
        top = self._stack[-1]
        if isinstance(top.value, list):
            top.inside[len(top.value)] = spot
            top.value.append(value)
            return
        key, top.key = top.key or "", None
        if key in top.value:
            self._repeats.append(((*self._path(), key), top.key_line))
            return
        top.inside[key] = Spot(line=top.key_line, inside=spot.inside)
        top.value[key] = value

    def _path(self) -> Path:
        """The path of what is open: the key, or the position in the list, that each open value will fill."""
        steps = [len(open_.value) if isinstance(open_.value, list) else open_.key or "" for open_ in self._stack[:-1]]
        return tuple(steps[1:])

    def _grow(self, values: int, chars: int, line: int) -> None:
        self._values += values
        self._chars += chars
        if self._values > VALUES_MAX or self._chars > TEXT_BYTES_MAX:
            raise stop(f"this is too much for one storyboard: more than {VALUES_MAX} values or 512 KiB of text", line)
