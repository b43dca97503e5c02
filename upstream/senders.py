"""Who calls back: by which profile a callback is read, and what it has to prove."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec

from framerelay.config.settings import Settings
from framerelay.runs.errors import NotFound
from framerelay.upstream.profile import Profile
from framerelay.upstream.providers import Provider, Providers, read_providers
from framerelay.upstream.signatures import Recipe
from framerelay.upstream.verifiers import PUBLIC, Verifiers, read_verifiers, recipe_by


def read_senders(settings: Settings, environ: Mapping[str, str]) -> tuple[Verifiers, Providers]:
    """
    Everybody who may call back, by the settings and their file.

    Raises: StoryboardInvalid with every mistake of the file; NotFound where FRAMERELAY_PROVIDER names nobody.
    """
    providers = read_providers(settings, environ)
    verifiers = read_verifiers(settings.config_file, environ, schemes=partial(_scheme_of, providers))
    return with_providers(verifiers, providers), providers


def shipped_scheme(name: str) -> Mapping[str, object] | None:
    """As `read_senders` has it, for the profiles that are shipped: what else the settings file says may be wrong."""
    return _scheme_of(Providers(default=name, configured={}), name)


def _scheme_of(providers: Providers, name: str) -> Mapping[str, object] | None:
    """What the provider *name* signs by, as a hook may ask for it; None where it is no provider, or signs nothing."""
    try:
        signature = providers.of(name).profile.callback.signature
    except NotFound:
        return None
    if signature == "none":
        return None
    secret = {} if signature.secret_env is None else {"secret_env": signature.secret_env}
    return {"scheme": signature.scheme, **secret, **signature.options}


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
