"""Who calls back: by which profile a callback is read, and what it has to prove."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from framerelay.runs.errors import NotFound
from framerelay.upstream.profile import Profile
from framerelay.upstream.providers import Provider, Providers
from framerelay.upstream.signatures import Recipe
from framerelay.upstream.verifiers import PUBLIC, Verifiers, recipe_by


def with_providers(verifiers: Verifiers, providers: Providers) -> Verifiers:
    """
    *verifiers* with what the callbacks of the configured providers have to prove.

    One whose secret is not set proves nothing beyond the token in its address, as its profile allows.
    Raises: StoryboardInvalid for a secret of another form than the scheme has.
    """
    known = {providers.default: providers.of(None), **providers.configured}
    recipes = {name: recipe for name, one in known.items() if (recipe := _recipe_of(one)) is not None}
    return replace(verifiers, providers=recipes, secrets=(*verifiers.secrets, *providers.secrets))


def profile_at(providers: Providers, name: str | None) -> Profile | None:
    """By which profile a callback is read at an address that names the provider *name*; None: leniently."""
    if name is None:
        return None
    try:
        profile = providers.of(name).profile
    except NotFound:  # It is no longer in the settings: its callback still says that something happened.
        return None
    return None if profile.read is None else profile


def _recipe_of(provider: Provider) -> Recipe | None:
    signature = provider.profile.callback.signature
    if signature == "none" or provider.is_read_leniently:
        return None
    scheme: Mapping[str, Any] = {"scheme": signature.scheme, **msgspec.to_builtins(signature.options)}
    is_public = signature.scheme in PUBLIC
    return recipe_by(scheme, provider.webhook_secret or "") if is_public or provider.webhook_secret else None
