"""The clients of all providers: who is asked about a job, at which address, by which profile and key."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.datastructures import Secret

from framerelay.config.settings import Settings
from framerelay.processors.clients import Clients
from framerelay.runs.errors import RequestInvalid
from framerelay.runs.maker import Maker
from framerelay.upstream.credentials import key_mark
from framerelay.upstream.providers import read_providers

pytestmark = pytest.mark.anyio

OpenClients = Callable[..., AbstractAsyncContextManager[Clients]]
ARK = Maker(provider="mine", profile="ark", base="https://old.example.com/api", model="m")
MAKER = Maker(
    provider="mine", profile="ark", base="https://reseller.example/v3", model="m", key_mark=key_mark("sk-one-key")
)
OFFICIAL = "providers: {mine: {profile: ark}}"
RESELLER = "providers: {mine: {profile: ark, url: 'https://reseller.example/v3'}}"


@pytest.fixture
def clients_of(tmp_path: Path) -> OpenClients:
    """``async with opened(yaml, environ, upstream_url=…) as clients``."""

    @asynccontextmanager
    async def start(text: str = "", environ: dict[str, str] | None = None, **fields: object) -> AsyncIterator[Clients]:
        path = tmp_path / "framerelay.yaml"
        path.write_text(text, encoding="utf-8")
        settings = replace(Settings(), config_file=path, **fields)  # type: ignore[arg-type]
        clients = Clients(read_providers(settings, environ or {}), settings)
        yield clients
        await clients.aclose()

    return start


async def test_a_job_is_asked_about_where_it_was_submitted(clients_of: OpenClients) -> None:
    """Also when its provider has another address by now; the key is that of now."""
    lines = "providers: {mine: {profile: ark, url: 'https://new.example.com', key_env: MINE}}"
    async with clients_of(lines, {"MINE": "sk-mine-mine"}) as clients:
        client, now = clients.of_maker(ARK), clients.of("mine")

        assert (client.profile.id, client.base) == ("ark", "https://old.example.com/api")
        assert client.key_headers() == {"Authorization": "Bearer sk-mine-mine"}
        assert (now.profile.id, now.base) == ("ark", "https://new.example.com")
        assert clients.of_maker(ARK) is client, "one client for each address"


async def test_the_key_of_another_profile_is_not_sent_to_where_a_job_was_submitted(clients_of: OpenClients) -> None:
    """Under the same name there may be somebody else by now: the job's own profile has its usual variable."""
    lines = "providers: {mine: {profile: kling, key_env: MINE}}"
    async with clients_of(lines, {"MINE": "sk-mine-mine", "ARK_API_KEY": "sk-ark-ark"}) as clients:
        assert clients.of_maker(ARK).key_headers() == {"Authorization": "Bearer sk-ark-ark"}


async def test_a_provider_that_left_the_settings_is_asked_under_its_profiles_usual_key(clients_of: OpenClients) -> None:
    """Its jobs were paid for, and are followed to their end."""
    async with clients_of(
        environ={"ARK_API_KEY": "sk-ark-ark"}, upstream_url="https://x", upstream_key=Secret("k" * 9)
    ) as clients:
        client = clients.of_maker(ARK)
        assert (client.profile.id, client.base) == ("ark", "https://old.example.com/api")
        assert client.key_headers() == {"Authorization": "Bearer sk-ark-ark"}
        with pytest.raises(RequestInvalid, match="the profile own is gone: put it back into framerelay"):
            clients.of_maker(replace(ARK, profile="own"))


async def test_what_one_of_several_providers_lacks_is_reported_when_it_is_used(clients_of: OpenClients) -> None:
    """Somebody who has one key only starts; nobody at all with a key stops the start."""
    async with clients_of("providers: {ark: {}}", {"ARK_API_KEY": "sk-ark-ark"}) as clients:
        assert clients.of("ark").profile.id == "ark"
        with pytest.raises(RequestInvalid, match="the provider jobs needs an address"):
            clients.of(None)
        with pytest.raises(RequestInvalid, match='no provider "nobody"'):
            clients.of("nobody")
    with pytest.raises(RequestInvalid, match="the provider jobs needs an address"):
        async with clients_of("providers: {ark: {}}"):
            pass


async def test_a_price_is_that_of_the_provider_now(clients_of: OpenClients) -> None:
    """None for who is gone, or has none."""
    lines = "providers: {mine: {profile: ark, prices: {m: {per_clip: 1, currency: USD}}}}"
    async with clients_of(lines, upstream_url="https://x", upstream_key=Secret("k" * 9)) as clients:
        price = clients.price_of(ARK)
        assert price
        assert price.per_clip == 1
        assert clients.price_of(replace(ARK, model="n")) is None
        assert clients.price_of(replace(ARK, provider="gone")) is None


@pytest.mark.parametrize(
    ("text", "key"), [(OFFICIAL, "sk-one-key"), (RESELLER, "sk-one-key"), (RESELLER, "sk-a-new-key")]
)
async def test_a_job_is_asked_about_under_the_same_key_or_a_new_one_for_its_address(
    clients_of: OpenClients, text: str, key: str
) -> None:
    """Under the same key, or a new one for the same address."""
    async with clients_of(text, {"ARK_API_KEY": key}, provider="mine") as clients:
        assert clients.of_maker(MAKER).base == "https://reseller.example/v3"


async def test_a_key_that_is_for_another_address_by_now_is_not_sent_to_the_former_one(clients_of: OpenClients) -> None:
    """Someone who left a reseller for the provider itself would have sent the one the key of the other."""
    async with clients_of(OFFICIAL, {"ARK_API_KEY": "sk-of-the-provider-itself"}, provider="mine") as clients:
        with pytest.raises(RequestInvalid, match=r"has changed since, and is not for reseller\.example"):
            clients.of_maker(MAKER)
        assert clients.of_maker(replace(MAKER, key_mark=None)).base, "of a run that is older than the mark"
