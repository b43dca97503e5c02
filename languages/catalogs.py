"""
A sentence in the reader's language, from the catalogs next to this file.

    translate("the run is going on")          unchanged for readers of English, at no cost
    with reading("zh"): translate(...)        运行还在继续

Sentences are made in English everywhere, and translated on the way out: by the API, the page or the command. So the
contents of runs, including those of earlier versions, are translated as well, and no rule knows about languages.
"""

import gettext
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Final

from framerelay.languages import measures
from framerelay.languages.reader import ENGLISH, language
from framerelay.languages.sentences import WIDE, Sentences

DOMAIN: Final = "framerelay"
FOLDER: Final = Path(__file__).parent / "locale"
CHARS_MAX: Final = 8_000  # Longer texts are not sentences of ours.


def translate(text: str, code: str | None = None) -> str:
    """*text* for the current reader, or in the language *code*; anything that no catalog has stays as it is."""
    code = code or language()
    return text if code == ENGLISH or not text or len(text) > CHARS_MAX else _translate(text, code)


def translate_exactly(text: str) -> str:
    """A template's message in the reader's language."""
    code = language()
    return text if code == ENGLISH else messages_of(code).gettext(text)


def translate_many(one: str, many: str, number: int) -> str:
    """A template's message about a *number* of things: *one* or *many*, in the reader's language."""
    code = language()
    if code == ENGLISH:
        return one if number == 1 else many
    return messages_of(code).ngettext(one, many, number)


def joint(english: str) -> str:
    """``": "``, ``", "``, ``"; "``, or the space between two sentences of a page, as the current reader writes it."""
    return english if language() == ENGLISH else WIDE.get(english, english.strip())


@cache
def messages_of(code: str) -> gettext.NullTranslations:
    """The catalog of a language, as gettext has it."""
    return gettext.translation(DOMAIN, FOLDER, languages=[code])


@lru_cache(maxsize=4096)
def _translate(text: str, code: str) -> str:
    return _sentences(code).translate(text)


@cache
def _sentences(code: str) -> Sentences:
    catalog = getattr(messages_of(code), "_catalog", {})
    return Sentences(
        {key: value for key, value in catalog.items() if isinstance(key, str) and key},
        partial(measures.money, code=code),
    )
