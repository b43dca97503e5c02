"""
Write the catalogs from code and templates: ``make catalogs``. What is translated stays; what is no longer used goes.

A new message is there without a translation until somebody writes one; a test is red until then.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Final

import click
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from jinja2.ext import babel_extract

from docs.site.messages import ROOT, messages
from framerelay.languages.catalogs import DOMAIN, FOLDER
from framerelay.languages.reader import ENGLISH, LANGUAGES
from framerelay.languages.sentences import PLACE

HEADER: Final = """\
# FrameRelay in another language. The words of the trade: docs/languages.md. After a change: make catalogs."""
TEMPLATES: Final = ROOT / "receiver" / "page" / "templates"
# What of click a person meets: its help, and what it says of a wrong call.
CLICK_FILES: Final = (
    "core.py",
    "decorators.py",
    "exceptions.py",
    "formatting.py",
    "parser.py",
    "termui.py",
    "types.py",
)


def template() -> Catalog:
    """Every message there is, without translations."""
    catalog = Catalog(domain=DOMAIN, header_comment=HEADER, fuzzy=False)
    for message, places in sorted(messages().items()):
        catalog.add(message, locations=[(name, 0) for name in sorted({name for name, _ in places})])
    for said, name in (*_of_templates(), *_of_click()):
        catalog.add(said, locations=[(name, 0)])
    return catalog


def catalog_of(code: str) -> Catalog:
    """The catalog of a language as it is in its file."""
    with path_of(code, "po").open("rb") as file:
        return read_po(file, locale=code, domain=DOMAIN)


def updated(code: str) -> Catalog:
    """The catalog of a language with the messages of today; one in which only names changed keeps its translation."""
    catalog = catalog_of(code) if path_of(code, "po").exists() else Catalog(locale=code, domain=DOMAIN)
    before = {PLACE.sub("{}", message.id): message for message in catalog if _is_ours(message) and message.string}
    catalog.update(template(), no_fuzzy_matching=True)
    catalog.obsolete.clear()
    for message in catalog:
        if _is_ours(message) and not message.string and (same := before.get(PLACE.sub("{}", message.id))):
            names = dict(zip(PLACE.findall(same.id), PLACE.findall(message.id), strict=True))
            message.string = PLACE.sub(lambda place, names=names: f"{{{names.get(place[1], place[1])}}}", same.string)
    catalog.header_comment = HEADER
    return catalog


def _is_ours(message: Message) -> bool:
    return isinstance(message.id, str) and bool(message.id)


def source_of(catalog: Catalog) -> bytes:
    """*catalog* as a .po file, in a fixed order and without dates, so that only words make a difference."""
    file = BytesIO()
    write_po(file, catalog, width=110, omit_header=False, sort_output=True, include_lineno=False)
    dated = (b'"POT-Creation-Date:', b'"PO-Revision-Date:', b'"Generated-By:', b'"Last-Translator:', b'"Language-Team:')
    lines = [line for line in file.getvalue().split(b"\n") if not line.startswith(dated)]
    return b"\n".join(line for line in lines if not line.startswith((b'"Project-Id', b'"Report-Msgid')))


def compiled(source: bytes, code: str) -> bytes:
    """A .po file as gettext reads it when the program runs."""
    file = BytesIO()
    catalog = read_po(BytesIO(source), locale=code, domain=DOMAIN)
    catalog.creation_date = catalog.revision_date = datetime(2026, 1, 1, tzinfo=UTC)  # Else they are those of today.
    catalog._messages = {key: catalog._messages[key] for key in sorted(catalog._messages, key=str)}
    write_mo(file, catalog)
    return file.getvalue()


def path_of(code: str, kind: str) -> Path:
    """Where the catalog of a language lies; *kind*: ``po``, its source, or ``mo``, what is read."""
    return FOLDER / code / "LC_MESSAGES" / f"{DOMAIN}.{kind}"


def _of_templates() -> Iterator[tuple[str | tuple[str, ...], str]]:
    options = {"trimmed": "true", "newstyle_gettext": "true", "trim_blocks": "true", "lstrip_blocks": "true"}
    keywords = {"_": None, "gettext": None, "ngettext": (1, 2)}
    for file in sorted(TEMPLATES.glob("*.*")):
        with file.open("rb") as opened:
            for _, function, said, _ in babel_extract(opened, list(keywords), [], options):
                texts = [each for each in (said if isinstance(said, tuple) else (said,)) if isinstance(each, str)]
                yield (texts[0], texts[1]) if function == "ngettext" else texts[0], file.relative_to(ROOT).as_posix()


def _of_click() -> Iterator[tuple[str | tuple[str, ...], str]]:
    folder = Path(click.__file__).parent
    keywords = {"_": None, "ngettext": (1, 2)}
    for name, _, said, _, _ in extract_from_dir(folder, [(each, "python") for each in CLICK_FILES], keywords=keywords):
        yield said, f"click/{name}"


def main() -> None:
    """Update each language, and compile it."""
    for code in LANGUAGES:
        if code != ENGLISH:
            source = source_of(updated(code))
            path_of(code, "po").parent.mkdir(parents=True, exist_ok=True)
            path_of(code, "po").write_bytes(source)
            path_of(code, "mo").write_bytes(compiled(source, code))


if __name__ == "__main__":
    main()
