"""Chinese that is read: one word for one thing, and signs as Chinese sets them, in the manual and in the catalog."""

import re
from collections.abc import Iterator

import pytest

from docs.site.catalogs import catalog_of
from docs.site.translations import ROOT, translations
from framerelay.languages.reader import CHINESE

LANGUAGES = ROOT / "docs" / "languages.md"
ROW = re.compile(r"^\| (\S+) \| (\S+) \|$", re.M)
HAN = "[\u4e00-\u9fff]"
WIDE = "[，。；：、？！（）“”《》]"
# What a blank parts is read as two words; what none parts, as one. Signs of half width belong to code.
ODD = {
    "no blank between Chinese and Latin": rf"{HAN}[A-Za-z0-9]|[A-Za-z0-9%]{HAN}",
    "a blank between two Chinese signs": rf"{HAN} +{HAN}|{WIDE} +{HAN}|{HAN} +{WIDE}",
    "a sign of half width": rf"{HAN} ?[,;:] ?{HAN}|{HAN}[?!]|{HAN}\(|\){HAN}",
    "an English stop": rf"{HAN}\.(?=\s|$)",
}


def table() -> list[tuple[str, str]]:
    """What is written, and what is not, in its place."""
    _, _, rows = LANGUAGES.read_text(encoding="utf-8").partition("| 写 | 不写 |")
    return [(right, word) for right, wrong in ROW.findall(rows.partition("\n## ")[0]) for word in wrong.split("、")]


def pages() -> Iterator[tuple[str, str]]:
    """
    The prose of each Chinese page, with a Latin letter in place of code and the words of links alone.

    Bold text is followed by an invisible space: without it Markdown would not end it after a Chinese stop.
    """
    for page in translations():
        text = re.sub(r"(?ms)^```.*?^```|<!--.*?-->|^    .*?$", "", page.read_text(encoding="utf-8"))
        text = re.sub(r"`[^`\n]*`", "`x`", text)
        for line in re.sub(r"!?\[([^\]]*)\]\([^)\s]*\)", r"\1", text).splitlines():
            yield page.relative_to(ROOT).as_posix(), re.sub(r"\*\*? (?=\S)|\*", "", line.replace("`x`", "x"))


def messages() -> Iterator[tuple[str, str]]:
    """What the catalog says, with a Latin letter in place of a name."""
    for message in catalog_of(CHINESE):
        texts = (message.string,) if isinstance(message.string, str) else message.string
        if message.id and not message.locations[0][0].startswith("click/"):
            for text in texts:
                yield str(message.id), re.sub(r"(\w+)\.\.\.", r"\1", text)


def test_the_table_of_words_is_read() -> None:
    assert ("响应", "应答") in table()
    assert len(table()) > 30


def test_one_thing_has_one_name() -> None:
    """Else a reader asks whether two names are two things."""
    texts = [*pages(), *messages()]
    hits = [(place, word, right) for place, text in texts for right, word in table() if word in text]

    assert hits == []


@pytest.mark.parametrize("what", ODD)
def test_punctuation_and_spaces_follow_chinese_typography(what: str) -> None:
    odd = re.compile(ODD[what])
    hits = [(place, text) for place, text in pages() if odd.search(text) and not text.startswith("|--")]

    assert hits == []


@pytest.mark.parametrize("what", ODD)
def test_the_catalog_sets_signs_and_blanks_likewise(what: str) -> None:
    """A value in it may be either; what counts is the text of the message itself."""
    odd = re.compile(ODD[what])
    bare = re.compile(r"%\(\w+\)s|\{\{?\w+(?:![rs])?\}?\}|<[^>]+>|`[^`]*`")
    hits = [(text, odd.search(bare.sub("\0", text))[0]) for _, text in messages() if odd.search(bare.sub("\0", text))]  # type: ignore[index]

    assert hits == []
