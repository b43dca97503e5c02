"""Whatever is wrong with an address, it is one kind of error, told where the address is read."""

from pathlib import Path

import pytest

from framerelay.config.parse import as_url
from framerelay.config.urls import host_of, join_url, parse_url
from framerelay.media.download import DownloadLimits, download
from framerelay.network.client import guarded_client
from framerelay.network.policy import TrustedHosts
from framerelay.runs.errors import AddressForbidden, RequestInvalid, StoryboardInvalid
from framerelay.storyboards.hooks import read_hooks
from framerelay.storyboards.parts import is_web_address
from framerelay.upstream.client import JobsClient

UNDECODABLE = (
    "https://xn--a/x",
    "https://xn--/x",
    "https://xn--localhost-/x",
    "https://XN--A/x",
    f"https://xn--{'a' * 60}/x",
)
BROKEN = (*UNDECODABLE, "https://[::1", "https://\ud800/", "https://a\x00b/", "https://b:port/", "x" * 70_000)


@pytest.mark.parametrize("address", BROKEN, ids=range(len(BROKEN)))
def test_an_impossible_address_is_a_value_error_for_every_reader(address: str) -> None:
    """idna's errors come only when the host is asked for, and belong to another library."""
    if "://" in address:
        with pytest.raises(ValueError, match="it must"):
            parse_url(address)
    with pytest.raises(ValueError, match="it must"):
        as_url(address)
    with pytest.raises(RequestInvalid):
        JobsClient(address, "sk")
    assert not is_web_address(address)
    assert host_of(address) == ""


@pytest.mark.parametrize("location", ["//xn--a/x", "https://xn--/", "https://b:port/"])
def test_an_impossible_address_in_a_redirect_is_one_too(location: str) -> None:
    """The address that is joined with is a good one."""
    with pytest.raises(ValueError, match="it must"):
        join_url(parse_url("https://example.com/a"), location)


@pytest.mark.parametrize("host", ["xn--a", "xn--localhost-"])
def test_a_trusted_host_that_cannot_be_a_name_is_named(host: str) -> None:
    """At the start, with the host, and not with the first clip."""
    with pytest.raises(ValueError, match=host):
        TrustedHosts([host])


@pytest.mark.parametrize("key", ["notify_url: 'https://xn--a/x'", "storyboard: {notify_url: 'https://xn--a/x'}"])
def test_a_hook_that_names_one_stops_the_start_with_a_sentence(tmp_path: Path, key: str) -> None:
    """A traceback says neither file nor line."""
    path = tmp_path / "framerelay.yaml"
    path.write_text(f"hooks:\n  a:\n    {key}\n", encoding="utf-8")

    with pytest.raises(StoryboardInvalid) as failure:
        read_hooks(path, TrustedHosts([]))

    assert any("notify_url" in mistake.place for mistake in failure.value.mistakes)


@pytest.mark.anyio
@pytest.mark.parametrize("address", UNDECODABLE, ids=range(len(UNDECODABLE)))
async def test_a_clip_there_is_forbidden_like_any_other_that_must_not_be_opened(tmp_path: Path, address: str) -> None:
    """It ends the take with a reason; as an error nobody foresaw, it was tried for ever."""
    async with guarded_client() as client:
        with pytest.raises(AddressForbidden):
            await download(address, tmp_path / "clip.mp4", client=client, limits=DownloadLimits())
