"""Which callbacks need a proof: of providers in the settings, and of those that a storyboard names by their profile."""

import base64
from pathlib import Path

import msgspec
import pytest
import structlog

from framerelay.runs.errors import Unverified
from framerelay.upstream.profile_file import load_shipped
from framerelay.upstream.providers import Providers, provider_of_profile
from framerelay.upstream.senders import missing_secret, unproven, with_providers
from framerelay.upstream.signatures import FalRecipe, HmacRecipe, verify
from framerelay.upstream.verifiers import Verifiers, read_verifiers

SECRET = "whsec_" + base64.b64encode(b"only for tests, and long enough!").decode()


def proving(**environ: str) -> Verifiers:
    """With no line in the settings file, and these variables."""
    return with_providers(Verifiers(), Providers(default="jobs", entries={}, environ=environ))


def test_a_shipped_provider_without_a_line_is_verified_once_its_secret_is_set() -> None:
    """As a configured one is; without the secret its address is all."""
    assert isinstance(proving(KLING_WEBHOOK_SECRET=SECRET).providers.get("kling"), HmacRecipe)
    assert proving().providers.get("kling") is None
    assert proving(KLING_WEBHOOK_SECRET=SECRET).providers.get("gone") is None


def test_nobody_is_asked_for_public_keys_before_somebody_calls() -> None:
    """fal signs by them: they are not among those that are fetched ahead, and it has to prove itself all the same."""
    verifiers = proving()

    assert verifiers.jwks_urls == frozenset()
    assert isinstance(verifiers.providers.get("fal"), FalRecipe)


def test_what_a_provider_is_configured_as_counts() -> None:
    """A line without a secret, under the name of a shipped one."""
    entries = {"kling": provider_of_profile("kling", load_shipped("kling"), {})}
    providers = Providers(default="jobs", entries=entries, environ={"KLING_WEBHOOK_SECRET": SECRET})

    assert with_providers(Verifiers(), providers).providers.get("kling") is None


def test_a_secret_that_cannot_be_used_lets_nobody_in() -> None:
    """It is reported once, by its variable; the callbacks wait in quarantine until it is corrected."""
    verifiers = proving(KLING_WEBHOOK_SECRET="not base64, surely!")
    with structlog.testing.capture_logs() as lines:
        recipes = [verifiers.providers.get("kling") for _ in range(2)]

    assert [(line["event"], line["variable"]) for line in lines] == [
        ("callback_secret_unusable", "KLING_WEBHOOK_SECRET")
    ]
    for recipe in recipes:
        assert recipe is not None
        with pytest.raises(Unverified):
            verify(recipe, (), body=b"{}", received_at=0.0)


def test_the_same_settings_read_again_are_the_same(tmp_path: Path) -> None:
    """Whatever was looked at in between."""
    first, second = proving(KLING_WEBHOOK_SECRET=SECRET), proving(KLING_WEBHOOK_SECRET=SECRET)
    assert first.providers.get("kling") is not None

    assert first == second
    assert first != proving()
    assert read_verifiers(tmp_path / "none.yaml", {}) == Verifiers()


def test_a_provider_that_always_signs_is_named_with_the_variable_of_its_secret() -> None:
    """Doctor only mentions those that can be set to sign."""
    kling = load_shipped("kling")
    signature = msgspec.structs.replace(kling.callback.signature, required=True)
    always = msgspec.structs.replace(kling, callback=msgspec.structs.replace(kling.callback, signature=signature))
    secret = {"KLING_WEBHOOK_SECRET": SECRET}

    def named(environ: dict[str, str]) -> list[tuple[str, str]]:
        profiles = {"may": kling, "must": always}
        entries = {name: provider_of_profile(name, profile, environ) for name, profile in profiles.items()}
        return list(unproven(Providers(default="may", entries=entries)))

    assert named({}) == [("must", "KLING_WEBHOOK_SECRET")]
    assert named(secret) == []
    assert missing_secret(provider_of_profile("may", kling, {})) == "KLING_WEBHOOK_SECRET"
    assert missing_secret(provider_of_profile("fal", load_shipped("fal"), {})) is None
