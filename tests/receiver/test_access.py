"""Who gets in, and what those see who do not: on every route that there is."""

from typing import Any

import httpx
import pytest
from starlette.routing import Route

from framerelay.receiver.app import pages, routes

pytestmark = pytest.mark.anyio

OPEN = {"/webhook/{token:path}", "/login", "/logout", "/language", "/livez", "/readyz", "/static/{file:path}"}
RUN = "run_" + "a" * 24


def addresses() -> list[tuple[str, str]]:
    """Every method and path that needs the key, with names filled in."""
    values = {"{run}": RUN, "{shot}": "s1", "{path:path}": f"{RUN}/s1.1.mp4", "{token}": "t"}
    addresses = []
    for route in [*routes(), *pages()]:
        path = route.path
        for name, value in values.items():
            path = path.replace(name, value)
        addresses += [(method, path) for method in sorted(route.methods or ()) if route.path not in OPEN]
    return addresses


async def test_every_route_needs_the_key(relay: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """401 with the envelope, without a key, with a wrong one, and with the right one said in a wrong way."""
    # That many guesses would be held back for minutes.
    monkeypatch.setattr("framerelay.receiver.door.keys.FREE_GUESSES", 1000)
    right = relay.api.headers["Authorization"]
    wrong = ["Bearer", f"{right}x", right[:-1], right.removeprefix("Bearer ")]
    wrong += [right.replace("Bearer", "Basic"), "Bearer é", f"Bearer  {right}"]
    assert len(addresses()) >= 12
    async with httpx.AsyncClient(base_url=relay.settings.listen_url, trust_env=False) as stranger:
        requests = [(*address, header) for address in addresses() for header in ("", "Bearer wrong")]
        requests += [("GET", "/v1/runs", header) for header in wrong]
        for method, path, header in requests:
            headers = {"Authorization": header.encode("latin-1")} if header else {}
            answer = await stranger.request(method, path, headers=headers)
            assert answer.status_code == 401, (method, path, header)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert method == "HEAD" or answer.json()["error"]["code"] == "unauthorized"


async def test_a_stranger_cannot_tell_what_exists(relay: Any, board: Any) -> None:
    """A run that is there and one that is not look the same without the key; nothing was done."""
    run_id = await relay.run(board)
    async with httpx.AsyncClient(base_url=relay.settings.listen_url, trust_env=False) as stranger:
        there = await stranger.post(f"/v1/runs/{run_id}/cancel")
        not_there = await stranger.post(f"/v1/runs/{RUN}/cancel")

    assert (there.status_code, there.content) == (not_there.status_code, not_there.content)
    assert (await relay.view(run_id))["status"] == "running"


async def test_the_key_is_read_as_clients_send_it(relay: Any) -> None:
    """The scheme in any case, as HTTP says."""
    key = relay.api.headers["Authorization"].removeprefix("Bearer ")

    for header in (f"Bearer {key}", f"bearer {key}", f"BEARER  {key}"):
        assert (await relay.api.get("/v1/runs", headers={"Authorization": header})).status_code == 200, header


async def test_what_is_not_there_is_404_in_the_envelope(relay: Any) -> None:
    """Unknown runs, shots, files and addresses; odd names are unknown too, not errors."""
    odd = ["run_x", "x", f"{RUN}:events", "%00", "%ff", "..", "run_霓虹", "r" * 5000, f"{RUN}%0a"]
    paths = [f"/v1/runs/{name}" for name in odd] + [f"/v1/runs/{name}/events" for name in odd]
    paths += ["/nothing", "/v1", "/v1/runs/", "/v2/runs", f"/media/{RUN}/s1.1.mp4"]
    for path in paths:
        answer = await relay.api.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found"), path
        assert set(answer.json()["error"]) == {"code", "message", "param"}


async def test_the_keys_of_redis_are_no_runs(relay: Any, board: Any) -> None:
    """A run's history is stored next to it; asking for it by its name finds nothing."""
    run_id = await relay.run(board)

    assert (await relay.api.get(f"/v1/runs/{run_id}:events")).status_code == 404


async def test_a_wrong_method_is_405_in_the_envelope(relay: Any) -> None:
    """On every route."""
    methods: dict[str, set[str]] = {}
    for route in [*routes(), *pages()]:
        assert isinstance(route, Route)
        methods.setdefault(route.path, set()).update(route.methods or ())
    for path in methods:
        answer = await relay.api.request("PATCH", path.replace("{path:path}", "x").replace("{run}", RUN))
        assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed"), path
        assert "is not possible at this address; possible here: " in answer.json()["error"]["message"]
