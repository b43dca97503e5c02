"""What the pages for agents say is what there is."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from framerelay.api.operations import OPERATIONS
from framerelay.storyboards.storyboard import check_storyboard

DOCS = Path(__file__).parents[3] / "docs"


def page(name: str) -> str:
    """A page as it is written."""
    return (DOCS / name).read_text(encoding="utf-8")


def test_the_page_for_agents_is_short_and_its_requests_are_there() -> None:
    """Forty lines; every address is a route; its storyboard has no mistakes."""
    text = page("agents.md")
    assert len(text.splitlines()) <= 40
    routes = {re.sub(r"\{[^}]*\}", "X", name) for name in OPERATIONS}
    for method, address, other in re.findall(r"^    (GET|POST) +(/\S+)(?: \| (/\w+))?", text, re.M):
        for path in (address, f"{address.rpartition('/')[0]}{other}") if other else (address,):
            assert f"{method} {re.sub('RUN|SHOT|PATH', 'X', path)}" in routes, path
    match = re.search(r"^    (\{\"title\".*?\"\})$", text, re.M | re.S)
    assert match
    board = check_storyboard(json.loads(match[1].replace("…", "example.com")), allow_paths=False)
    assert [shot.source for shot in board.shots] == [None, "s1", None, "s2"]


@pytest.mark.anyio
async def test_the_page_about_mcp_names_every_tool_with_its_arguments(
    mcp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person sees in the table what an assistant sees in the schema."""
    text = page("mcp.md")
    async with mcp.in_process("http://127.0.0.1:9", monkeypatch) as assistant:
        tools = (await assistant.session.list_tools()).tools

    calls = [f"{tool.name}({', '.join(tool.inputSchema['properties'])})" for tool in tools]
    assert re.findall(r"^\| `(\w+\([\w, ]*\))`", text, re.M) == calls
    [snippet] = re.findall(r"```json\n(.*?)```", text, re.S)
    assert json.loads(snippet)["mcpServers"]["framerelay"]["args"][0] == "mcp"
