"""The same tools over streamable HTTP: for those who have the key, under the names that it knows."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from framerelay.cli.errors import CommandError
from framerelay.cli.mcp.server import serve_mcp
from framerelay.config.env_file import SettingInvalid

KEY = "fr_test"
BOARD: dict[str, Any] = {"title": "One", "model": "seedance-1.5-pro-720p", "shots": [{"id": "s1", "prompt": "a car"}]}


@pytest.mark.anyio
async def test_what_one_server_started_another_one_shows(
    mcp: Any, start_provider: Any, start_relay: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds nothing, so it may be started and stopped at will."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        url = relay.settings.listen_url
        async with mcp.in_process(url, monkeypatch, API_KEY=KEY) as assistant:
            plan = (await assistant.ask("plan_film", storyboard=BOARD))["plan_id"]
        async with mcp.http_server(tmp_path, url, API_KEY=KEY) as address, mcp.by_http(address, KEY) as assistant:
            film = await assistant.ask("start_film", storyboard=BOARD, plan_id=plan, max_jobs=2)
            await assistant.until(film["run"], "succeeded")
        async with mcp.in_process(url, monkeypatch, API_KEY=KEY) as assistant:
            assert (await assistant.ask("film_result", run=film["run"]))["film"]["bytes"] > 0


@pytest.mark.anyio
async def test_strangers_and_foreign_pages_are_turned_away(mcp: Any, tmp_path: Path) -> None:
    """401 without the key, 421 under another name, 403 for another site's page, however right the key is."""
    hello = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    accept = {"Accept": "application/json, text/event-stream"}
    right = {**accept, "Authorization": f"Bearer {KEY}"}
    async with (
        mcp.http_server(tmp_path, "http://127.0.0.1:9", "--name", "mcp.example.com", API_KEY=KEY) as address,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        for headers, status in (
            (accept, 401),
            ({**accept, "Authorization": "Bearer fr_other"}, 401),
            ({**accept, "Authorization": f"Bearer {KEY}x"}, 401),
            ({**right, "Host": "evil.example"}, 421),
            ({**right, "Origin": "https://evil.example"}, 403),
            ({**right, "Host": "mcp.example.com", "Origin": "https://mcp.example.com"}, 200),
            (right, 200),
        ):
            assert (await http.post(address, json=hello, headers=headers)).status_code == status, headers


@pytest.mark.parametrize(
    ("host", "key", "words"),
    [
        ("127.0.0.1", None, "it asks for the receiver's API key: set FRAMERELAY_API_KEY"),
        ("0.0.0.0", "short", "FRAMERELAY_API_KEY: it is shorter than"),
    ],
)
def test_without_a_key_that_holds_it_does_not_start(
    host: str, key: str | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, before anything is served."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FRAMERELAY_API_KEY", key or "")
    with pytest.raises((CommandError, SettingInvalid), match=words):
        serve_mcp(http=True, host=host, port=0, names=[], pictures=None)
