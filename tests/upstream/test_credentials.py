"""Where a key goes: to the provider's own hosts, and with a clip to fewer of them."""

from typing import Any

import msgspec
import pytest

from framerelay.upstream.credentials import clip_key_hosts, is_clip_host
from framerelay.upstream.profile import Profile
from framerelay.upstream.profile_file import load_shipped


def profile_with(*patterns: str) -> Profile:
    """One at two hosts, whose clips are at *patterns*."""
    fields: dict[str, Any] = {"base": "https://api.maker.example", "hosts": ["files.maker.example"]}
    download = msgspec.structs.replace(load_shipped("veo").download, hosts=list(patterns))
    return msgspec.structs.replace(load_shipped("veo"), **fields, download=download)


@pytest.mark.parametrize(
    ("base", "patterns", "hosts"),
    [
        ("https://api.maker.example/v1", (), {"api.maker.example", "files.maker.example"}),
        ("https://api.maker.example/v1", ("files.*",), {"files.maker.example"}),
        ("https://api.maker.example/v1", ("cdn.example",), set()),
        ("https://gateway.example", ("files.*",), {"gateway.example"}),
    ],
)
def test_the_key_is_sent_to_where_clips_are_and_nowhere_else(
    base: str, patterns: tuple[str, ...], hosts: set[str]
) -> None:
    """Of the provider's own hosts those that are named; a gateway has all that is there."""
    assert clip_key_hosts(base, profile_with(*patterns)) == hosts


def test_a_star_stands_for_anything_and_no_names_for_everywhere() -> None:
    """Without regard to capitals."""
    assert is_clip_host("V3.fal.media", load_shipped("fal"))
    assert not is_clip_host("fal.media.evil.example", load_shipped("fal"))
    assert is_clip_host("anywhere.example", load_shipped("pixverse"))
