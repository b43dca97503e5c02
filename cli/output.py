"""
The two outputs of a command: whatever they can write, no command fails because of a character that they cannot.

Set up once at the start (`prepare_output`): click, rich, the log and our own lines all write to what that leaves.
"""

import codecs
import os
import re
import sys
from typing import Final, TextIO

import click

from framerelay.languages.catalogs import translate

# None of them may be a quotation mark or a backslash: the output may be JSON.
_PLAIN: Final = {
    **{"…": "...", "→": "->", "←": "<-", "·": "-", "–": "-", "—": "-", "▸": ">", "✓": "+", "✗": "x", "×": "x"},
    **{"“": "'", "”": "'", "‘": "'", "’": "'", "\u00a0": " ", "━": "=", "╌": "-", "─": "-", "│": "|"},
    **{"├": "|", "└": "`", "•": "*"},
}
_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_ASCII: Final = "framerelay_ascii"
_HANDLER: Final = "framerelay.plain"


def prepare_output() -> None:
    """Let both outputs replace what their encoding lacks. A program started with them closed (``>&-``) has none."""
    codecs.register(_find_codec)
    codecs.register_error(_HANDLER, _plainly)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  (open until we end)
        _prepare(stream)
        setattr(sys, name, stream)


def echo(text: str, *, err: bool = False) -> None:
    """Write a sentence of ours, in the reader's language."""
    click.echo(translate(text), err=err)


def echo_json(text: str, *, err: bool = False) -> None:
    """Write *text*, which is JSON; its reader need not know the encoding unless that is UTF-8."""
    encoding = getattr(sys.stderr if err else sys.stdout, "encoding", None) or "utf-8"
    click.echo(text if _is_utf8(encoding) else _BEYOND_ASCII.sub(_escape, text), err=err)


def _prepare(stream: TextIO) -> None:
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is None:  # Somebody else's object, as in tests of other programs.
        return
    # click takes ASCII for a configuration mistake, and would write UTF-8 to it all the same.
    encoding = _ASCII if codecs.lookup(stream.encoding).name == "ascii" else stream.encoding
    reconfigure(encoding=encoding, errors=_HANDLER)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(_PLAIN.get(sign, "?") for sign in signs), error.end


def _find_codec(name: str) -> codecs.CodecInfo | None:
    if name != _ASCII:
        return None
    ascii_ = codecs.lookup("ascii")
    return codecs.CodecInfo(
        name=_ASCII,
        encode=ascii_.encode,
        decode=ascii_.decode,
        incrementalencoder=ascii_.incrementalencoder,
        incrementaldecoder=ascii_.incrementaldecoder,
        streamreader=ascii_.streamreader,
        streamwriter=ascii_.streamwriter,
    )


def _is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def _escape(sign: re.Match[str]) -> str:
    units = sign[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{int.from_bytes(units[place : place + 2]):04x}" for place in range(0, len(units), 2))
