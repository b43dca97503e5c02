"""
Text files that a person wrote with some editor: settings, secrets and storyboards are all read by this module.

Editors leave a byte order mark at the beginning of what they save, and pasted text may contain invisible characters.
Neither is part of what the person meant.
"""

import re
from pathlib import Path
from typing import Final

INVISIBLE: Final = "\ufeff\u200b\u200c\u200d\u2060\u200e\u200f"
_AROUND: Final = re.compile(rf"\A[\s{INVISIBLE}]+|[\s{INVISIBLE}]+\Z")


def read_text(path: Path) -> str:
    """The content of the file at *path*. Raises: OSError; UnicodeDecodeError as `text_of`."""
    return text_of(path.read_bytes())


def text_of(data: bytes) -> str:
    """
    *data* as text, without byte order marks at the beginning.

    Raises: UnicodeDecodeError (a ValueError) at the first byte that is not UTF-8. NUL is refused, too: no text contains
    it, but UTF-16 has one after every letter, and would otherwise be read as UTF-8 in which no name is recognized.
    """
    text = data.decode("utf-8")
    if (nul := data.find(b"\0")) >= 0:
        raise UnicodeDecodeError("utf-8", data, nul, nul + 1, "a NUL, which no text holds")
    return text.lstrip("\ufeff")


def trim(text: str) -> str:
    """*text* without invisible characters at its ends: white space, and characters without a width."""
    return _AROUND.sub("", text)
