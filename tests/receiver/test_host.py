"""Where a request says it went has no say in what we answer."""

from typing import Any

import pytest

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("host", ["evil.example", "evil.example:99", "[::1", "@evil.example"])
async def test_addresses_of_clips_and_films_do_not_come_from_the_request(relay: Any, finish: Any, host: str) -> None:
    """They begin with the public URL, or with where we listen; a wrong Host changes nothing."""
    run = await finish()
    lies = {"Host": host, "X-Forwarded-Host": host, "X-Forwarded-Proto": "evil", "Forwarded": f"host={host}"}
    response = await relay.api.get(f"/v1/runs/{run}", headers=lies)
    right = (await relay.api.get(f"/v1/runs/{run}")).json()

    assert response.json() == right
    assert right["film"]["url"].startswith(relay.settings.reachable_url + "/media/")
    assert right["shots"][0]["takes"][0]["video"]["url"].startswith(relay.settings.reachable_url + "/media/")
