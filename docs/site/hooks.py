"""
What the site needs beyond the pages of docs/: pages that live elsewhere in the tree, and links to them.

Read by mkdocs (`hooks:` in mkdocs.yml), in a venv of its own: nothing of ours is imported here.
"""

import posixpath
import re
from pathlib import Path
from typing import Any, Final

from mkdocs.structure.files import File, Files

ROOT: Final = Path(__file__).parent.parent.parent
GUESTS: Final = {
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks.md",
    "benchmarks/RESULTS.md": "figures.md",
    "deploy/README.md": "deployment.md",
}
"""Where a page is in the tree, and its name on the site."""
HOMES: Final = {site: tree for tree, site in GUESTS.items()}
LINK: Final = re.compile(r"\[([^\]\n]+)\]\(([^)\s]+)\)")
STATES: Final = re.compile(r"```mermaid\nstateDiagram-v2\n(.*?)```\n", re.S)
EDGE: Final = re.compile(r"^ +(\S+) --> (\S+): (.*)$", re.M)


def on_files(files: Files, config: Any) -> Files:
    """Take in the pages that live beside docs/."""
    for tree, site in GUESTS.items():
        files.append(File.generated(config, site, content=(ROOT / tree).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links as they are on the site; a state diagram, which code hosts draw by a script of theirs, as a table."""
    place = HOMES.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    return LINK.sub(lambda link: _on_site(link, place), STATES.sub(_as_table, markdown))


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Chinese pages say that they are: fonts and voices are chosen by it."""
    return output.replace('<html lang="en"', '<html lang="zh-CN"', 1) if page.url.startswith("zh-CN/") else output


def _on_site(link: re.Match[str], place: str) -> str:
    """A link of the file at *place* in the tree; what the site does not have is named and not linked."""
    words, (target, hash_, anchor) = link[1], link[2].partition("#")
    if not target or re.match(r"[a-z]+:", target):
        return link[0]
    tree = posixpath.normpath(posixpath.join(posixpath.dirname(place), target))
    site = GUESTS.get(tree) or (tree.removeprefix("docs/") if tree.startswith("docs/") else None)
    if site is None:
        if not (ROOT / tree).exists():
            raise FileNotFoundError(f"{place} links to {target}, which is not there")
        return words
    here = posixpath.dirname(GUESTS.get(place) or place.removeprefix("docs/"))
    return f"[{words}]({posixpath.relpath(site, here or '.')}{hash_}{anchor})"


def _as_table(diagram: re.Match[str]) -> str:
    rows = [f"| {_state(old)} | {_state(new)} | {why} |\n" for old, new, why in EDGE.findall(diagram[1])]
    return "".join(["| from | to | when |\n|---|---|---|\n", *rows])


def _state(name: str) -> str:
    return "·" if name == "[*]" else f"`{name}`"
