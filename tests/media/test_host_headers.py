"""The key of a provider that gives its clips to nobody else: to its hosts, and to none that a redirect leads to."""

from pathlib import Path

import pytest

from framerelay.media.download import download
from framerelay.media.host_headers import HostHeaders
from framerelay.network.client import guarded_client
from tests.media.download_server import FAST, assert_whole, cut, names_in, redirect, rest, serving, whole

KEY = {"Authorization": "Bearer sk-provider"}


@pytest.mark.anyio
async def test_the_key_is_not_sent_to_another_host_that_a_redirect_names(tmp_path: Path) -> None:
    """Nor back from there with the next hop, unless that is the provider again."""
    async with serving(whole) as last, serving(redirect(last.url)) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        async with serving(redirect(elsewhere)) as first:
            hosts = frozenset({f"127.0.0.1:{first.port}", f"localhost:{other.port}", f"127.0.0.1:{last.port}"})
            key = HostHeaders(hosts=frozenset({"127.0.0.1"}), headers=KEY, plain=True)
            async with guarded_client(hosts) as client:
                clip_download = await download(first.url, tmp_path / "clip.mp4", client=client, limits=FAST, key=key)
            assert_whole(clip_download, tmp_path)
            authorizations = [server.requests[0].get("authorization") for server in (first, other, last)]
    assert authorizations == ["Bearer sk-provider", None, "Bearer sk-provider"]


@pytest.mark.anyio
async def test_the_rest_of_a_clip_is_asked_for_with_the_key_as_well(tmp_path: Path) -> None:
    """After a cut, by range."""
    key = HostHeaders(hosts=frozenset({"127.0.0.1"}), headers=KEY, plain=True)
    async with serving(cut(at=100_000), rest) as server:
        async with guarded_client(frozenset({f"127.0.0.1:{server.port}"})) as client:
            await download(server.url, tmp_path / "clip.mp4", client=client, limits=FAST, key=key)
        assert [request["authorization"] for request in server.requests] == ["Bearer sk-provider"] * 2
    assert names_in(tmp_path) == ["clip.mp4"]


def test_the_key_is_sent_over_tls_only_unless_the_provider_is_reached_without() -> None:
    """A redirect to plain HTTP at the same host would show it to everybody on the way."""
    secure = HostHeaders(hosts=frozenset({"api.example.com"}), headers=KEY)
    assert secure.at("https", "api.example.com") == KEY
    assert secure.at("http", "api.example.com") == {}
    assert secure.at("https", "api.example.com.evil.example") == {}
    plain = HostHeaders(hosts=frozenset({"gateway"}), headers=KEY, plain=True)
    assert plain.at("http", "gateway") == KEY
    assert "sk-provider" not in repr(plain)
