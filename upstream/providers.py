"""
The providers of this installation: the one in the settings, and those that ``framerelay.yaml`` names.

A provider is a profile with its own address, key and limits. No key is in that file: it names variables.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Literal, cast

import msgspec

from framerelay.config.settings import Settings
from framerelay.config.text import trim
from framerelay.config.urls import host_of
from framerelay.runs.errors import KeyMissing, NotFound, RequestInvalid, StoryboardInvalid
from framerelay.storyboards.parts import Part, near
from framerelay.storyboards.settings_file import FILE_KEYS, read_settings_file
from framerelay.storyboards.type_check import check_types
from framerelay.upstream.credentials import hosts_of
from framerelay.upstream.profile import Profile
from framerelay.upstream.profile_checks import price_mistakes
from framerelay.upstream.profile_file import load_profile, load_shipped, profile_names
from framerelay.upstream.profile_models import Price

HandOff = Literal["auto", "upload", "inline", "serve"]
KEY_CHARS_MIN: Final = 16  # A shorter text under such a name may be a word that occurs in many lines.
_KEY_NAME: Final = re.compile(r"(KEY|SECRET|TOKEN)(_[0-9]+)?$")
HAND_OFFS: Final = ("auto", "upload", "inline", "serve")
PROVIDER_KEYS: Final = (
    *("profile", "url", "key_env", "webhook_secret_env", "handoff", "jobs_at_once", "submits_per_minute", "prices"),
)
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ELSEWHERE: Final = {
    "key": "this file holds no key: name the variable that holds it, for example key_env: KLING_API_KEY",
    "webhook_secret": "this file holds no secret: name the variable that holds it by webhook_secret_env",
    "base": "write url: it replaces the base of the profile",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """
    One provider as it is used here.

    ``key_variables``: where its key is looked for, the first that is set counts. ``prices``: by model, overriding those
    of the profile. ``jobs_at_once`` · ``submits_per_minute``: given limits; None: learned from refusals.
    """

    name: str
    profile: Profile
    base: str
    key: str | None = field(default=None, repr=False)
    key_variables: tuple[str, ...] = ()
    webhook_secret: str | None = field(default=None, repr=False)
    handoff: HandOff | None = None
    jobs_at_once: int | None = None
    submits_per_minute: float | None = None
    prices: Mapping[str, Price] = field(default_factory=dict)

    @property
    def calls_back(self) -> bool:
        """Whether it tells us when a job is done, at an address for that take alone; otherwise it is polled."""
        return self.profile.callback.on in ("create", "query")

    @property
    def is_read_leniently(self) -> bool:
        """Whether its callbacks are read as those of the jobs API: then their addresses need not name it."""
        return self.profile.read is None

    def price_of(self, model: str) -> Price | None:
        """What a clip of *model* costs, as far as is known."""
        entry = self.profile.models.get(model)
        return self.prices.get(model) or (entry.price if entry else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """Those that can be named; *default* is for storyboards that name none."""

    default: str
    entries: Mapping[str, Provider]
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    _cache: dict[str, Provider] = field(default_factory=dict, init=False, repr=False, compare=False)

    def of(self, name: str | None) -> Provider:
        """
        The provider *name*; a shipped profile needs no line in the settings file.

        Raises: NotFound.
        """
        name = name or self.default
        if (provider := self.entries.get(name) or self._cache.get(name)) is not None:
            return provider
        if name in profile_names():  # Each callback of its takes asks for it.
            return self._cache.setdefault(name, provider_of_profile(name, load_shipped(name), self.environ))
        names = [*self.entries, *profile_names()]
        raise NotFound(f'there is no provider "{name}"{near(name, names)}; framerelay providers lists them')

    def with_key(self) -> Iterator[Provider]:
        """Those that have a key, the default first."""
        names = dict.fromkeys((self.default, *self.entries))
        yield from (provider for name in names if (provider := self.of(name)).key)

    @property
    def variables_set(self) -> tuple[str, ...]:
        """The variables that may hold a key and are set, by their names: including those of shipped profiles."""
        return tuple(sorted(name for name, text in self.environ.items() if _KEY_NAME.search(name) and trim(text)))

    @property
    def secrets(self) -> tuple[str, ...]:
        """Keys and secrets, which must never be shown; variables of shipped profiles count even if not configured."""
        texts = [text for one in self.entries.values() for text in (one.key, one.webhook_secret) if text]
        usual = [text for name, text in self.environ.items() if _KEY_NAME.search(name) and len(text) >= KEY_CHARS_MIN]
        return tuple(dict.fromkeys((*texts, *usual)))


def provider_of_profile(name: str, profile: Profile, environ: Mapping[str, str]) -> Provider:
    """A provider as its profile defines it, with the key and secret from the usual variables."""
    return Provider(
        name=name,
        profile=profile,
        base=profile.base,
        key=_first_set(profile.key_env, environ),
        key_variables=tuple(profile.key_env),
        webhook_secret=_usual_secret(profile, environ),
    )


def read_providers(settings: Settings, environ: Mapping[str, str]) -> Providers:
    """
    The providers of *settings* and its ``framerelay.yaml``, with the keys in *environ*.

    Raises: StoryboardInvalid with every mistake in that file; NotFound if FRAMERELAY_PROVIDER names no provider.
    """
    path = settings.config_file
    read = partial(_read_root, folder=path.parent, environ=environ)
    own = read_settings_file(path, read) or {}
    providers = Providers(default=settings.provider, entries=own, environ=environ)
    default = _of_settings(providers.of(None), settings)
    return Providers(default=default.name, entries={**own, default.name: default}, environ=environ)


def _of_settings(provider: Provider, settings: Settings) -> Provider:
    """FRAMERELAY_UPSTREAM_URL and _KEY are the default provider's address and key."""
    key = str(settings.upstream_key) if settings.upstream_key else provider.key
    base = settings.upstream_url or provider.base
    return Provider(
        name=provider.name,
        profile=provider.profile,
        base=base,
        key=key,
        key_variables=("FRAMERELAY_UPSTREAM_KEY", *(one for one in provider.key_variables if "UPSTREAM" not in one)),
        webhook_secret=_secret_of(provider.profile, provider, key),
        handoff=provider.handoff,
        jobs_at_once=provider.jobs_at_once,
        submits_per_minute=provider.submits_per_minute,
        prices=provider.prices,
    )


def _read_root(root: Part, *, folder: Path, environ: Mapping[str, str]) -> dict[str, Provider]:
    top = root.group(FILE_KEYS) or {}
    if "providers" not in top or top["providers"].value is None:
        return {}
    parts = top["providers"].named_parts() or {}
    read = {name: _read_provider(name, part, folder, environ) for name, part in parts.items()}
    return {name: provider for name, provider in read.items() if provider is not None}


def _read_provider(name: str, part: Part, folder: Path, environ: Mapping[str, str]) -> Provider | None:
    keys = {} if part.value is None else part.group(PROVIDER_KEYS, elsewhere=_ELSEWHERE) or {}
    profile = _read_profile(keys.get("profile"), part, name, folder)
    if profile is None:
        return None
    usual = provider_of_profile(name, profile, environ)
    key_env, secret_env = (_read_variable(keys.get(name)) for name in ("key_env", "webhook_secret_env"))
    key = _first_set((key_env,), environ) if key_env else usual.key
    if "url" not in keys:
        variables = (*(() if key_env else profile.key_env), *(() if secret_env else _secret_variables(profile)))
        _check_variables(profile, tuple(each for each in variables if environ.get(each)), part)
    return Provider(
        name=name,
        profile=profile,
        base=(keys["url"].web_address() if "url" in keys else None) or profile.base,
        key=key,
        key_variables=(key_env,) if key_env else usual.key_variables,
        webhook_secret=_first_set((secret_env,), environ) if secret_env else _secret_of(profile, usual, key),
        handoff=_read_handoff(keys["handoff"]) if "handoff" in keys else None,
        jobs_at_once=keys["jobs_at_once"].whole_number(1) if "jobs_at_once" in keys else None,
        submits_per_minute=_read_rate(keys["submits_per_minute"]) if "submits_per_minute" in keys else None,
        prices=_read_prices(keys["prices"]) if "prices" in keys else {},
    )


def _check_variables(profile: Profile, variables: tuple[str, ...], part: Part) -> None:
    """
    A profile from somebody else may name any variable, and any address that its value is sent to.

    Variables of FrameRelay itself, and of shipped providers, are only sent to other addresses if a person says so.
    """
    hosts = hosts_of(profile.base, profile)
    for variable in variables:
        owners = [
            each for each in map(load_shipped, profile_names()) if variable in (*each.key_env, *_secret_variables(each))
        ]
        is_theirs = any(hosts <= hosts_of(each.base, each) for each in owners)
        if (owners or variable.startswith("FRAMERELAY_")) and not is_theirs:
            whose = owners[0].title if owners else "FrameRelay"
            part.complain(
                f"its profile asks for {variable}, which is {whose}'s, to send it to {host_of(profile.base)}: "
                "if that is meant, say so here, by key_env or webhook_secret_env"
            )


def _secret_variables(profile: Profile) -> tuple[str, ...]:
    signature = profile.callback.signature
    return (signature.secret_env,) if signature != "none" and signature.secret_env else ()


def _read_profile(value: Part | None, part: Part, name: str, folder: Path) -> Profile | None:
    """A shipped profile by its name (that of the provider, if none is given), or a file."""
    text = name if value is None else value.text()
    if text is None:
        return None
    try:
        if text.endswith((".yaml", ".yml")) or "/" in text:
            return load_profile(folder / text)
        return load_shipped(text)
    except NotFound as error:
        hint = "" if value else "; name its profile, for example profile: kie or profile: ./mine.yaml"
        (value or part).complain(f"{error.message}{hint}")
    except OSError as error:
        (value or part).complain(f"{text} cannot be read: {(error.strerror or 'it is not a file').lower()}")
    except StoryboardInvalid as error:
        for mistake in error.mistakes:
            (value or part).complain(f"in {text}, {mistake}")
    return None


def _read_variable(part: Part | None) -> str | None:
    """The name of a variable; anything else may be the key itself, so it is not repeated."""
    name = part.text() if part else None
    if part and name and not _VARIABLE.fullmatch(name):
        part.complain("expected the name of a variable, for example KLING_API_KEY; this file holds no key")
        return None
    return name


def _read_handoff(part: Part) -> HandOff | None:
    text = part.text()
    if text in HAND_OFFS:
        return cast("HandOff", text)
    if text is not None:
        part.complain(f'expected one of {", ".join(HAND_OFFS)}, found "{text}"')
    return None


def _read_rate(part: Part) -> float | None:
    number = part.number()
    if number is not None and number <= 0:
        part.complain(f"expected a number above 0, found {number}")
        return None
    return number


def _read_prices(part: Part) -> dict[str, Price]:
    """Prices by model; the name of a model may be anything."""
    if not isinstance(part.value, dict):
        part.complain("expected prices by model, for example prices: {kling-3.0: {per_s: 0.1, currency: USD}}")
        return {}
    prices = {}
    for model, value in part.value.items():
        inner = Part(value=value, notes=part.notes, path=(*part.path, model), order=part.order)
        check_types(inner, Price, checks={})
        try:
            price = msgspec.convert(value, Price)
        except msgspec.ValidationError:
            continue  # It has been reported.
        mistakes = list(price_mistakes(price))
        for about, message in mistakes:
            inner.complain(message, about=about[0] if about else None)
        if not mistakes:
            prices[model] = price
    return prices


def _first_set(variables: tuple[str, ...] | list[str], environ: Mapping[str, str]) -> str | None:
    return next((text for name in variables if (text := trim(environ.get(name, "")))), None)


def _secret_of(profile: Profile, provider: Provider, key: str | None) -> str | None:
    """The secret of callbacks; some providers sign with the key itself, whatever variable that comes from."""
    signature = profile.callback.signature
    signs_by_key = signature != "none" and signature.secret_env in profile.key_env
    return key if signs_by_key else provider.webhook_secret


def _usual_secret(profile: Profile, environ: Mapping[str, str]) -> str | None:
    return _first_set(_secret_variables(profile), environ)


def needs_address(provider: Provider) -> bool:
    """Whether its profile knows no address of its own, and none was given."""
    return provider.profile.own_address and provider.base == provider.profile.base


def require_key(provider: Provider) -> Provider:
    """*provider*, which has an address and a key. Raises: RequestInvalid, saying which variable is missing."""
    if needs_address(provider):
        where = "set FRAMERELAY_UPSTREAM_URL, or url in framerelay.yaml"
        raise RequestInvalid(f"the provider {provider.name} needs an address: {where}", param="base_url")
    if not provider.key:
        variables = " or ".join(provider.key_variables) or "key_env in framerelay.yaml"
        raise KeyMissing(f"the provider {provider.name} has no key: set {variables}", param="key")
    return provider


def keyless_words(provider: Provider) -> str:
    """What to say about a *provider* without a key, before anything is spent."""
    variables = " or ".join(provider.key_variables) or "key_env"
    return f"{provider.name} has no key here: set {variables}"
