"""The tour, at a provider that takes no large requests: pictures go another way, or nothing leaves."""

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
SMALL = """
profile: 1
id: small
extends: ark
media: {{accepts: [{forms}], body_max_mb: {megabytes}}}
"""
MODEL = "doubao-seedance-1-5-pro-251215"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_KEY", "sk-sandbox")


def settle(folder: Path, url: str, *, forms: str, megabytes: float) -> Json:
    """A provider ``small``, and a storyboard of two shots for it."""
    lines = f"providers: {{small: {{profile: ./small.yaml, url: '{url}/ark/api/v3', key_env: SANDBOX_KEY}}}}\n"
    (folder / "framerelay.yaml").write_text(lines, encoding="utf-8")
    (folder / "small.yaml").write_text(SMALL.format(forms=forms, megabytes=megabytes), encoding="utf-8")
    shots = [{"id": "s1", "prompt": "a car"}, {"id": "s2", "prompt": "closer"}]
    return {"title": "two", "provider": "small", "model": MODEL, "shots": shots}


@pytest.mark.parametrize(("megabytes", "source"), [(64, "inline"), (0.005, "serve")])
async def test_a_picture_that_makes_the_request_too_large_is_given_as_a_link(
    start_provider: Any, start_relay: Any, tmp_path: Path, megabytes: float, source: str
) -> None:
    """By the size of the whole request; a picture that leaves room goes inside it."""
    async with start_provider() as provider:
        board = settle(tmp_path, provider.url, forms="url, data_uri", megabytes=megabytes)
        async with start_relay(provider.url) as relay:
            run = await relay.wait_for_end(await relay.run(board))

    assert run["status"] == "succeeded", run["error"]
    assert run["shots"][1]["takes"][0]["first_frame"]["source"] == source


async def test_where_there_is_no_other_way_nothing_is_sent(
    start_provider: Any, start_relay: Any, tmp_path: Path
) -> None:
    """The shot fails with a sentence that says what to do."""
    async with start_provider() as provider:
        board = settle(tmp_path, provider.url, forms="data_uri", megabytes=0.005)
        async with start_relay(provider.url) as relay:
            run = await relay.wait_for_end(await relay.run(board))
            submits = (await provider.journal())["submits"]

    assert (run["status"], run["spent"], len(submits)) == ("failed", {"jobs": 1}, 1)
    assert "larger than the 0.005 MB that small takes" in run["error"]["message"]


async def test_a_request_that_is_too_large_for_other_reasons_is_not_sent_either(
    start_provider: Any, start_relay: Any, tmp_path: Path
) -> None:
    """A long prompt, say."""
    async with start_provider() as provider:
        board = settle(tmp_path, provider.url, forms="url", megabytes=0.005)
        board["shots"][0]["prompt"] = "x" * 6000
        async with start_relay(provider.url) as relay:
            run = await relay.wait_for_end(await relay.run(board))
            submits = (await provider.journal())["submits"]

    assert (run["status"], run["spent"], submits) == ("failed", {"jobs": 0}, [])
    assert "and the provider takes 5,000" in run["error"]["message"]
