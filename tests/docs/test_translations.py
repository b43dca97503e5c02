"""Chinese pages say what their English ones say, as far as that can be held: their state, shape, commands and links."""

import posixpath
import re
from pathlib import Path

import pytest

from docs.site.translations import MARK, ROOT, mark, translations, without_tables
from framerelay.languages.catalogs import translate
from framerelay.languages.reader import CHINESE
from tests.docs.test_commands import BLOCK

PAGES = translations()
IDS = [page.relative_to(ROOT).as_posix() for page in PAGES]
TO_THE_OTHER_LANGUAGE = re.compile(r"^.*\[(?:English|中文)\]\(.*\n", re.M)
HEADING = re.compile(r"^(#+) (.+)$", re.M)
LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
WORDS = re.compile(r"(^ *(?:- )?(?:prompt|title|style): |--prompt ).*$|(\bprompt: )[^,}\n]+", re.M)
COMMENT = re.compile(r"(?:^|\s+)# (?!\S+\.ya?ml$).*$", re.M)
MANUAL = ROOT / "docs" / "zh-CN"
TEN = ["README", "first-film", "real-key", "callbacks-behind-nat", "providers", "storyboard", "film"]
TEN += ["changing-a-film", "page", "start"]


def pairs() -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("chinese", "english"), PAGES.items(), ids=IDS)


@pairs()
def test_a_chinese_page_is_not_behind_its_english_one(chinese: Path, english: Path) -> None:
    """An author who changes the English page learns here that there is another."""
    name, page = chinese.relative_to(ROOT), english.relative_to(ROOT)
    argument = page.as_posix() if page.name == "README.md" else page.name

    if not chinese.read_text(encoding="utf-8").startswith(mark(english)):
        behind = f"{name} is behind {page}: say in it what that says now, then type: make translated PAGE={argument}"
        pytest.fail(behind, pytrace=False)


@pairs()
def test_it_has_the_same_headings_tables_and_names(chinese: Path, english: Path) -> None:
    """No chapter, no row, no setting, key or command is left out; output of the command is quoted as it is."""
    here, there = prose(chinese), prose(english)

    assert [level for level, _ in HEADING.findall(here)] == [level for level, _ in HEADING.findall(there)]
    assert len(re.findall(r"^\|", here, re.M)) >= len(re.findall(r"^\|", there, re.M))
    left_out = set(CODE.findall(there)) - set(CODE.findall(here))
    assert [code for code in left_out if translate(code, CHINESE) not in CODE.findall(here)] == []


@pairs()
def test_it_has_the_same_commands(chinese: Path, english: Path) -> None:
    """
    So they need not be typed twice. Comments, prompts and titles may be Chinese, and a drawing that says so.

    What a command prints may be said in Chinese: then just as the command says it.
    """
    here, there = blocks(chinese), blocks(english)

    assert len(here) == len(there)
    spoken_blocks = (block["text"] for block in BLOCK.finditer(text(english)))
    for ours, theirs, block in zip(here, there, spoken_blocks, strict=True):
        if ours[1] == "said in Chinese":
            text_said = "".join(f"{translate(line, CHINESE)}\n" for line in block.splitlines())
            assert ours[2] == WORDS.sub(r"\1\2…", COMMENT.sub("", text_said))
        elif ours[1] == "in Chinese":
            assert (ours[0], ours[2].count("\n")) == (theirs[0], theirs[2].count("\n")) == ("text", ours[2].count("\n"))
        else:
            assert ours == theirs


@pairs()
def test_its_links_lead_to_the_same_places(chinese: Path, english: Path) -> None:
    """To the Chinese page where there is one, and to the chapter of the same number."""
    here, there = (set(targets(page)) for page in (chinese, english))

    assert here == there
    assert [link for link in LINK.findall(prose(chinese)) if place(chinese, link)[0] in PAGES.values()] == []


def test_the_manual_has_its_first_ten_pages_in_chinese() -> None:
    """On the site, too."""
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")

    assert {page.stem for page in PAGES if page.parent == MANUAL} >= set(TEN)
    assert [page for page in PAGES if page.parent == MANUAL and f"zh-CN/{page.name}\n" not in site] == []


def text(page: Path) -> str:
    return TO_THE_OTHER_LANGUAGE.sub("", MARK.sub("", page.read_text(encoding="utf-8")))


def prose(page: Path) -> str:
    """Without blocks of code and tables that are written by a command."""
    return BLOCK.sub("", without_tables(text(page)))


def blocks(page: Path) -> list[tuple[str, str, str]]:
    """Kind, note and text of each block of code, without what a translator may change."""
    return [
        (block["kind"], block["note"] or "", WORDS.sub(r"\1\2…", COMMENT.sub("", block["text"])))
        for block in BLOCK.finditer(text(page))
    ]


def place(page: Path, link: str) -> tuple[Path, str]:
    """The file that a link of *page* leads to, and the anchor in it."""
    target, _, anchor = link.partition("#")
    file = posixpath.normpath(posixpath.join(page.parent.as_posix(), target)) if target else page.as_posix()
    return Path(file), anchor


def targets(page: Path) -> list[tuple[str, int | str]]:
    """Where its links lead: the English page, and the number of the heading there."""
    hits = []
    for link in LINK.findall(prose(page)):
        file, anchor = place(page, link)
        assert file.exists(), f"{page.name} links to {link}, which is not there"
        chapter: int | str = anchor
        if anchor and (file in PAGES or file in PAGES.values()):
            chapters = [slug(words) for _, words in HEADING.findall(prose(file))]
            assert anchor in chapters, f"{page.name} links to {link}: the headings there are {chapters}"
            chapter = chapters.index(anchor)
        same = PAGES.get(file, file).relative_to(ROOT).as_posix()
        hits.append((same.replace("docs/pictures/zh/", "docs/pictures/"), chapter))
    return hits


def slug(heading: str) -> str:
    """The anchor that code hosts and the site give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
