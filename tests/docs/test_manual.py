"""The manual as a site: `make manual`."""

import fcntl
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SITE = ROOT / "build" / "manual"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the command that a person types; its packages are fetched once, where they can be had."""
    SITE.parent.mkdir(exist_ok=True)
    with (SITE.parent / ".manual.lock").open(
        "w"
    ) as lock:  # Another process of the tests may be at it: it empties SITE.
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = make(".venv/docs/.ready")
        if ready.returncode:
            pytest.skip(f"the packages that build the manual cannot be had here: {ready.stderr.strip()[-200:]}")
        process = make("manual")
        assert process.returncode == 0, process.stdout + process.stderr
        assert "build/manual/index.html" in process.stdout
        return Path(shutil.copytree(SITE, tmp_path_factory.mktemp("manual") / "site"))


def make(target: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", target, f"PYTHON={sys.executable}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180)


def test_every_page_is_built_and_every_link_leads_somewhere(site: Path) -> None:
    """The build is strict: a link, an anchor or a page outside the nav that is wrong ends it."""
    for page in ["index", "first-film", "storyboard", "troubleshooting", "deployment", "contributing", "changes"]:
        assert (site / f"{page}.html").is_file(), page
    assert (site / "storyboard.schema.json").is_file()


def test_the_site_fetches_nothing_from_elsewhere(site: Path) -> None:
    """No fonts, scripts, styles or pictures of others: it works without a network, and nobody learns who reads it."""
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        addresses = re.findall(r"<(?:script|img|iframe|source)[^>]+src=\"?([^\"\s>]+)", text)
        addresses += re.findall(
            r"<link[^>]+rel=\"?(?:stylesheet|icon|preload|preconnect)[^>]*href=\"?([^\"\s>]+)", text
        )
        assert addresses, page
        assert [address for address in addresses if re.match(r"(https?:)?//", address)] == [], page
        assert "mermaid" not in text, f"{page.name}: a diagram that the site would draw by a script from elsewhere"


def test_the_states_are_a_table_on_the_site(site: Path) -> None:
    """Code hosts draw the diagram of a take; the site shows each of its edges as a row."""
    arrows = re.findall(r"^ +\S+ --> \S+: ", (ROOT / "docs" / "lifecycle.md").read_text(encoding="utf-8"), re.M)
    take = (site / "lifecycle.html").read_text(encoding="utf-8").partition('<h2 id="a-shot"')[0]

    assert take.count("<tr>") == len(arrows) + 1


def test_chinese_pages_say_that_they_are_chinese(site: Path) -> None:
    """And each page leads to the other language."""
    chinese, english = ((site / name).read_text(encoding="utf-8") for name in ("zh-CN/film.html", "film.html"))

    assert re.findall(r"<html lang=\"?([\w-]+)", chinese + english) == ["zh-CN", "en"]
    assert re.search(r"href=\"?\.\./index\.html\"? hreflang=\"?en\b", chinese)
    assert re.search(r"href=\"?(?:\./)?zh-CN/index\.html\"? hreflang=\"?zh\b", english)
