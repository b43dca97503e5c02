"""
Chinese pages, and the English ones that they were translated from.

Each names the state of its English page in its first line. When one is up to date again, say so by its English name:

    make translated PAGE=first-film.md
"""

import hashlib
import re
import sys
from pathlib import Path
from typing import Final

from docs.site.providers import BEGIN, END

ROOT: Final = Path(__file__).parent.parent.parent
MARK: Final = re.compile(r"\A<!-- of: (?P<page>\S+) sha256:(?P<fingerprint>[0-9a-f]{16}) -->\n")
_WRITTEN: Final = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.S)


def translations() -> dict[Path, Path]:
    """Each Chinese page, and its English one."""
    docs = ROOT / "docs"
    pages = {page: docs / page.name for page in sorted((docs / "zh-CN").glob("*.md"))}
    return {ROOT / "README.zh-CN.md": ROOT / "README.md"} | pages


def mark(english: Path) -> str:
    """The first line of the Chinese page of *english* as it is now, its line end included."""
    return f"<!-- of: {english.relative_to(ROOT).as_posix()} sha256:{_fingerprint(english)} -->\n"


def without_tables(text: str) -> str:
    """*text* without what `make docs` writes into it, which needs no translator."""
    return _WRITTEN.sub("", text)


def _fingerprint(english: Path) -> str:
    """16 hexadecimal digits."""
    return hashlib.sha256(without_tables(english.read_text(encoding="utf-8")).encode()).hexdigest()[:16]


def main(name: str) -> None:
    """Write the mark of the Chinese page of *name* again; `README.md` is the one at the top."""
    for chinese, english in translations().items():
        if english in (ROOT / name, *([] if name == "README.md" else [ROOT / "docs" / name])):
            text = MARK.sub("", chinese.read_text(encoding="utf-8"))
            chinese.write_text(mark(english) + text, encoding="utf-8")
            return
    sys.exit(f"there is no Chinese page of {name or 'no page'}; write: make translated PAGE=first-film.md")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
