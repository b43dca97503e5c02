"""Whose key goes where: a job is asked about at the address where it was submitted, though the settings changed."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from framerelay.config.settings import Settings
from framerelay.processors.clients import Clients
from framerelay.runs.errors import RequestInvalid
from framerelay.runs.maker import Maker
from framerelay.upstream.credentials import key_mark
from framerelay.upstream.providers import read_providers

pytestmark = pytest.mark.anyio

Opened = Callable[..., AbstractAsyncContextManager[Clients]]
MAKER = Maker(
    provider="mine", profile="ark", base="https://reseller.example/v3", model="m", key_mark=key_mark("sk-one-key")
)
OFFICIAL = "providers: {mine: {profile: ark}}"
RESELLER = "providers: {mine: {profile: ark, url: 'https://reseller.example/v3'}}"


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    """``async with opened(yaml, key) as clients``."""

    @asynccontextmanager
    async def start(text: str, key: str) -> AsyncIterator[Clients]:
        path = tmp_path / "framerelay.yaml"
        path.write_text(text, encoding="utf-8")
        settings = replace(Settings(), config_file=path, provider="mine")
        clients = Clients(read_providers(settings, {"ARK_API_KEY": key}), settings)
        yield clients
        await clients.aclose()

    return start


@pytest.mark.parametrize(
    ("text", "key"), [(OFFICIAL, "sk-one-key"), (RESELLER, "sk-one-key"), (RESELLER, "sk-a-new-key")]
)
async def test_a_job_is_asked_about_where_it_was_submitted(opened: Opened, text: str, key: str) -> None:
    """Under the same key, or a new one for the same address."""
    async with opened(text, key) as clients:
        assert clients.of_maker(MAKER).base == "https://reseller.example/v3"


async def test_a_key_that_is_for_another_address_by_now_is_not_sent_to_the_former_one(opened: Opened) -> None:
    """Whoever left a reseller for the provider itself would have told the one the key of the other."""
    async with opened(OFFICIAL, "sk-of-the-provider-itself") as clients:
        with pytest.raises(RequestInvalid, match=r"another one by now, and is not for reseller\.example"):
            clients.of_maker(MAKER)
        assert clients.of_maker(replace(MAKER, key_mark=None)).base, "of a run that is older than the mark"
