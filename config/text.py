"""
Text files that a person wrote, with whatever editor: settings, secrets, storyboards are all read by this.

Editors leave a byte order mark in front of what they save, and a text that was pasted may bring signs along that
nobody sees. Neither is part of what the person meant.
"""

import re
from pathlib import Path
from typing import Final

INVISIBLE: Final = "\ufeff\u200b\u200c\u200d\u2060\u200e\u200f"
_AROUND: Final = re.compile(rf"\A[\s{INVISIBLE}]+|[\s{INVISIBLE}]+\Z")


def read_text(path: Path) -> str:
    """What the file at *path* says. Raises: OSError; UnicodeDecodeError as `text_of`."""
    return text_of(path.read_bytes())


def text_of(data: bytes) -> str:
    """
    *data* as text, without byte order marks in front.

    Raises: UnicodeDecodeError (a ValueError) at the first byte that is not UTF-8. NUL is refused, too: it is in no
    text, but behind every letter of UTF-16, which would else be read as UTF-8 in which nothing has its name.
    """
    text = data.decode("utf-8")
    if (nul := data.find(b"\0")) >= 0:
        raise UnicodeDecodeError("utf-8", data, nul, nul + 1, "a NUL, which no text holds")
    return text.lstrip("\ufeff")


def trim(text: str) -> str:
    """*text* without what cannot be seen at its ends: white space, and signs without a width."""
    return _AROUND.sub("", text)
