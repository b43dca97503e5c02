"""What a worker needs to start: somebody to ask."""

from dataclasses import replace

import pytest

from framerelay.cli.errors import CommandError
from framerelay.cli.serve import _require_provider
from framerelay.config.settings import Settings
from framerelay.upstream.profile_file import load_shipped
from framerelay.upstream.providers import Provider, Providers, provider_of_profile

LONG = "sk-0123456789abcdef"


def providers(default: str = "jobs", *entries: Provider, **environ: str) -> Providers:
    return Providers(default=default, entries={one.name: one for one in entries}, environ=environ)


@pytest.mark.parametrize(
    ("providers_known", "words"),
    [
        (
            providers(),
            "FRAMERELAY_UPSTREAM_URL and FRAMERELAY_UPSTREAM_KEY must be set: address and key of the jobs API",
        ),
        (providers("kling"), "KLING_API_KEY must be set: address and key of kling"),
    ],
)
def test_without_anybody_to_ask_it_says_what_is_missing(providers_known: Providers, words: str) -> None:
    """Of the default provider: there is no other."""
    with pytest.raises(CommandError, match=words):
        _require_provider(Settings(), providers_known)


def test_one_provider_with_a_key_is_enough() -> None:
    """The default may be one that nobody uses; what it lacks is reported when it is used."""
    kling = replace(provider_of_profile("kling", load_shipped("kling"), {}), key=LONG)

    _require_provider(Settings(public_url="https://relay.example"), providers("jobs", kling))
    _require_provider(Settings(public_url="https://relay.example"), providers("kling", KLING_API_KEY=LONG))


def test_keys_of_providers_are_secrets_wherever_they_come_from() -> None:
    """Of one that is configured, and of one that a storyboard may name; a short word under such a name is no key."""
    kling = replace(provider_of_profile("kling", load_shipped("kling"), {}), key="sk-1", webhook_secret="whsec_1")
    installation = providers("jobs", kling, FAL_KEY=LONG, MONKEY="production", HOME="/home/somebody/very/long")

    assert installation.secrets == ("sk-1", "whsec_1", LONG)
