"""Who calls back: by which profile a callback is read, and what it has to prove."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import msgspec
import structlog

from framerelay.config.settings import Settings
from framerelay.runs.errors import NotFound, StoryboardInvalid
from framerelay.upstream.profile import Profile
from framerelay.upstream.providers import Provider, Providers, read_providers
from framerelay.upstream.signatures import Recipe, StaticRecipe
from framerelay.upstream.verifiers import PUBLIC, Verifiers, read_verifiers, recipe_by

NOBODY: Final = StaticRecipe(digests=(), header="x-framerelay-nobody")
"""Cannot be fulfilled: if a secret is unusable, callbacks are held until it is fixed."""

log = structlog.get_logger()


def read_senders(settings: Settings, environ: Mapping[str, str]) -> tuple[Verifiers, Providers]:
    """
    Everybody who may call back, according to the settings and their file.

    Raises: StoryboardInvalid with every mistake in the file; NotFound if FRAMERELAY_PROVIDER names no provider.
    """
    providers = read_providers(settings, environ)
    verifiers = read_verifiers(settings.config_file, environ, schemes=partial(_scheme_of, providers))
    return with_providers(verifiers, providers), providers


def shipped_scheme(name: str) -> Mapping[str, object] | None:
    """Like `read_senders`, but for shipped profiles only: anything else in the settings file may be wrong."""
    return _scheme_of(Providers(default=name, entries={}), name)


def _scheme_of(providers: Providers, name: str) -> Mapping[str, object] | None:
    """What the provider *name* signs with, for a hook that asks for it; None if it is no provider, or signs nothing."""
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
    *verifiers* with what the callbacks of all providers have to prove.

    A provider whose secret is not set proves nothing beyond the token in its address, if its profile allows that.
    Raises: StoryboardInvalid for a configured secret that does not have the form of its scheme.
    """
    by_name = {providers.default: providers.of(None), **providers.entries}
    recipes = {name: recipe for name, one in by_name.items() if (recipe := _recipe_of(one)) is not None}
    senders = Senders(recipes=recipes, providers=providers)
    return replace(verifiers, providers=senders, secrets=(*verifiers.secrets, *providers.secrets))


def unproven(providers: Providers) -> Iterator[tuple[str, str]]:
    """The configured providers that sign all callbacks, and the variable of the secret that each one lacks here."""
    for one in {providers.default: providers.of(None), **providers.entries}.values():
        if (variable := missing_secret(one)) is not None and signs_always(one):
            yield one.name, variable


def signs_always(provider: Provider) -> bool:
    """Whether each of its callbacks is signed, so that unsigned ones need not be accepted."""
    signature = provider.profile.callback.signature
    return signature != "none" and signature.required


def missing_secret(provider: Provider) -> str | None:
    """The variable that has to be set before its callbacks can be verified; None if none has to be."""
    signature = provider.profile.callback.signature
    if signature == "none" or provider.is_read_leniently or provider.webhook_secret:
        return None
    return signature.secret_env


@dataclass(frozen=True, slots=True)
class Senders(Mapping[str, Recipe]):
    """
    What the callbacks of each provider have to prove: *known* for those that are configured.

    A storyboard may name any other shipped one: it is examined once it calls. So public keys are only fetched for
    providers that are used.
    """

    recipes: Mapping[str, Recipe]
    providers: Providers
    _looked_at: dict[str, Recipe | None] = field(default_factory=dict, compare=False, repr=False)

    def __getitem__(self, name: str) -> Recipe:
        """Raises: KeyError if it proves nothing beyond its address."""
        if name in self.recipes:
            return self.recipes[name]
        if name not in self._looked_at:
            self._looked_at[name] = self._recipe_of_provider(name)
        recipe = self._looked_at[name]
        if recipe is None:
            raise KeyError(name)
        return recipe

    def __iter__(self) -> Iterator[str]:
        """Those that are configured."""
        return iter(self.recipes)

    def __len__(self) -> int:
        """How many of them there are."""
        return len(self.recipes)

    def _recipe_of_provider(self, name: str) -> Recipe | None:
        if name == self.providers.default or name in self.providers.entries:
            return None
        try:
            provider = self.providers.of(name)
        except NotFound:
            return None
        try:
            return _recipe_of(provider)
        except StoryboardInvalid as error:
            log.error("callback_secret_unusable", provider=name, variable=_variable_of(provider), reason=str(error))
            return NOBODY


def profile_at(providers: Providers, name: str | None) -> Profile | None:
    """The profile by which a callback is read at an address that names the provider *name*; None: leniently."""
    if name is None:
        return None
    try:
        profile = providers.of(name).profile
    except NotFound:  # It is no longer in the settings: its callback still says that something happened.
        return None
    return None if profile.read is None else profile


def _variable_of(provider: Provider) -> str | None:
    signature = provider.profile.callback.signature
    return None if signature == "none" else signature.secret_env


def _recipe_of(provider: Provider) -> Recipe | None:
    signature = provider.profile.callback.signature
    if signature == "none" or provider.is_read_leniently:
        return None
    scheme: Mapping[str, Any] = {"scheme": signature.scheme, **msgspec.to_builtins(signature.options)}
    is_public = signature.scheme in PUBLIC
    return recipe_by(scheme, provider.webhook_secret or "") if is_public or provider.webhook_secret else None
