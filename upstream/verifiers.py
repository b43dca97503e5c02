"""
The ``verify:`` parts of the settings file: one for the upstream's callbacks, and one for each hook that differs.

No secret is in that file: it names variables or files that hold them.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, cast

from framerelay.config.text import text_of, trim
from framerelay.runs.errors import Mistake, StoryboardInvalid
from framerelay.storyboards.notation import excerpt
from framerelay.storyboards.parts import Notes, Part, describe_value
from framerelay.storyboards.settings_file import FILE_KEYS, HOOK_KEYS, read_settings_file
from framerelay.upstream.signatures import (
    FalRecipe,
    FieldsRecipe,
    HmacRecipe,
    PublicKeyRecipe,
    Recipe,
    SignedPart,
    StaticRecipe,
    TargetRecipe,
    digest_of,
    jwks_url_of,
)

KEYS_MAX: Final = 8
SECRET_BYTES_MAX: Final = 4096
FAL_JWKS: Final = "https://rest.fal.ai/.well-known/jwks.json"
GEMINI_JWKS: Final = "https://generativelanguage.googleapis.com/.well-known/jwks.json"
NEVER_KEPT: Final = ("authorization", "proxy-authorization", "cookie", "set-cookie")

_SECRET_KEYS: Final = ("secret_env", "secret_file", "secret_encoding")
_KNOWN: Final = {
    "standard-webhooks": ("scheme", *_SECRET_KEYS, "version", "digest", "header_prefix"),
    "hmac": ("scheme", *_SECRET_KEYS, "header", "prefix", "digest", "id_header", "timestamp_header"),
    "timestamped": ("scheme", *_SECRET_KEYS, "header", "version", "separator"),
    "kie": ("scheme", *_SECRET_KEYS, "header", "timestamp_header"),
    "static": ("scheme", "secret_env", "secret_file", "header"),
    "fal": ("scheme", "jwks_url"),
    "gemini-v1a": ("scheme", "jwks_url"),
    "vidu": ("scheme", *_SECRET_KEYS),
    "pixverse": ("scheme", *_SECRET_KEYS),
}
SCHEMES: Final = tuple(_KNOWN)
PUBLIC: Final = ("fal", "gemini-v1a")
_GIVEN: Final = "GIVEN"
_ELSEWHERE: Final = {
    "secret": "this file holds no secret: name a variable (secret_env) or a file (secret_file) that holds it"
}


Schemes = Callable[[str], Mapping[str, object] | None]


def _no_scheme(_: str) -> Mapping[str, object] | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifiers:
    """
    Who has to prove what. *hooks* are those with a ``verify`` of their own; None: ``verify: none``.

    ``providers``: what the callbacks of each provider read by a profile have to prove. ``secrets``: the exact texts,
    which must never be shown.
    """

    upstream: Recipe | None = None
    hooks: Mapping[str, Recipe | None] = field(default_factory=dict)
    providers: Mapping[str, Recipe] = field(default_factory=dict)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def of(self, hook: str | None) -> Recipe | None:
        """The recipe for callbacks at *hook*, or at a take's address; None: only the token in the address."""
        return self.upstream if hook is None else self.hooks.get(hook, self.upstream)

    @property
    def jwks_urls(self) -> frozenset[str]:
        """Where public keys must be fetched from."""
        recipes = (self.upstream, *self.hooks.values(), *self.providers.values())
        return frozenset(url for recipe in recipes if recipe and (url := jwks_url_of(recipe)))


def read_verifiers(path: Path, environ: Mapping[str, str], *, schemes: Schemes = _no_scheme) -> Verifiers:
    """
    The verifiers of the settings file *path*, with the secrets in *environ* and the files next to it.

    *schemes*: what a provider signs with, for settings that give its name instead of a scheme.
    Raises: StoryboardInvalid with every mistake: a verifier that cannot work must prevent the start, not let all pass.
    """
    return (
        read_settings_file(path, partial(_read_root, folder=path.parent, environ=environ, schemes=schemes))
        or Verifiers()
    )


def _read_root(root: Part, *, folder: Path, environ: Mapping[str, str], schemes: Schemes) -> Verifiers:
    source = _Source(folder=folder, environ=environ, schemes=schemes)
    top = root.group(FILE_KEYS) or {}
    hooks = {}
    if "hooks" in top and top["hooks"].value is not None:
        for name, part in (top["hooks"].named_parts() or {}).items():
            keys = part.group(HOOK_KEYS) if part.value is not None else None
            if keys and "verify" in keys:
                hooks[name] = _read_recipe(keys["verify"], source)
    upstream = _read_recipe(top["verify"], source) if "verify" in top else None
    return Verifiers(upstream=upstream, hooks=hooks, secrets=tuple(source.texts))


def recipe_by(scheme: Mapping[str, object], secret: str) -> Recipe:
    """
    The recipe of a *scheme* as a profile defines it, under exactly this *secret* (unused if the keys are public).

    Raises: StoryboardInvalid for options that it does not have, or a secret of another form.
    """
    public = scheme.get("scheme") in PUBLIC
    value = dict(scheme) if public else {**scheme, "secret_env": _GIVEN}
    part = Part(value=value, notes=Notes())
    recipe = _read_recipe(part, _Source(folder=Path(), environ={_GIVEN: secret}))
    part.notes.raise_if_any()
    if recipe is None:
        raise StoryboardInvalid([Mistake(place="signature", message="there is no such scheme")])
    return recipe


def _read_recipe(part: Part, source: "_Source") -> Recipe | None:
    if part.value == "none":
        return None
    if isinstance(part.value, str) and (scheme := source.schemes(part.value)) is not None:
        part = Part(value=scheme, notes=part.notes, path=part.path, order=part.order)
    if not isinstance(part.value, dict):
        part.complain(f"expected keys with values or the word none, found {describe_value(part.value)}")
        return None
    scheme = part.value.get("scheme")
    if not isinstance(scheme, str) or scheme not in _KNOWN:
        part.complain(f"expected one of {', '.join(_KNOWN)}, found {describe_value(scheme)}", about="scheme")
        return None
    options = _Options(part=part, keys=part.group(_KNOWN[scheme], elsewhere=_ELSEWHERE) or {}, source=source)
    return _READERS[scheme](options)


@dataclass(slots=True, kw_only=True)
class _Source:
    """Where secrets come from; ``texts`` collects those that were read."""

    folder: Path
    environ: Mapping[str, str]
    schemes: Schemes = _no_scheme
    texts: list[str] = field(default_factory=list)

    def variable(self, part: Part) -> str | None:
        """The value of the variable that *part* names."""
        name = part.text()
        if name is None:
            return None
        text = trim(self.environ.get(name, ""))
        if not text:
            part.complain(f"the variable {excerpt(name)} is not set, or empty")
        return text or None

    def file(self, part: Part) -> str | None:
        """The content of the file that *part* names, without the blanks around it."""
        name = part.text()
        if name is None:
            return None
        try:
            with (self.folder / name).open("rb") as file:
                data = file.read(SECRET_BYTES_MAX + 4)  # Plus the mark that an editor may put in front.
            text = trim(text_of(data))
        except OSError as error:
            part.complain(f"{excerpt(name)} cannot be read: {(error.strerror or 'it is not a file').lower()}")
            return None
        except ValueError:  # Bytes that are not text, or a NUL in the name.
            part.complain(f"{excerpt(name)} does not hold text")
            return None
        if not text or len(text) > SECRET_BYTES_MAX:
            part.complain(f"{excerpt(name)} is {'too long for a secret' if text else 'empty'}")
            return None
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """One ``verify:`` part being checked; missing or bad values have been reported."""

    part: Part
    keys: Mapping[str, Part]
    source: _Source

    def keys_in(self, encoding: str, *, without: str = "") -> tuple[bytes, ...]:
        """The secrets as keys: *encoding* is the usual one of the scheme, *without* a prefix that is not part of it."""
        form = self.word("secret_encoding", encoding, ("base64", "hex", "utf8"))
        return self.secrets(lambda text: _decode(text.removeprefix(without), form))

    def secrets(self, key_of: Callable[[str], bytes]) -> tuple[bytes, ...]:
        """Each secret, made into a key by *key_of* (which raises ValueError)."""
        keys = []
        for part, read in self._holders():
            text = read(part)
            if text is None:
                continue
            self.source.texts.append(text)
            try:
                key = key_of(text)
            except ValueError as error:
                part.complain(str(error))
            else:
                keys.append(key)
        fields = cast(dict[str, object], self.part.value)
        if not {"secret_env", "secret_file", *_ELSEWHERE} & fields.keys():
            sentence = "name the variable that holds the secret, or a file by secret_file"
            self.part.miss("secret_env", "secret_file", message=sentence)
        if len(keys) > KEYS_MAX:
            self.part.complain(f"{len(keys)} secrets are too many: a rotation needs two, {KEYS_MAX} are allowed")
        return tuple(keys)

    def _holders(self) -> list[tuple[Part, Callable[[Part], str | None]]]:
        """A name, or a list of names, for variables and for files."""
        holders: list[tuple[Part, Callable[[Part], str | None]]] = []
        for name, read in (("secret_env", self.source.variable), ("secret_file", self.source.file)):
            if name in self.keys:
                part = self.keys[name]
                parts = (part.items() or []) if isinstance(part.value, list) else [part]
                holders += [(each, read) for each in parts]
        return holders

    def header(self, key: str, default: str | None = None) -> str:
        """The name of a header, in lower case."""
        if key not in self.keys:
            if default is None:
                self.part.miss(key, message="name the header that carries it")
            return default or ""
        part = self.keys[key]
        name = (part.text() or "").lower()
        if name and not re.fullmatch(r"[a-z0-9_-]{1,64}", name):
            part.complain(f'"{excerpt(name)}" cannot be the name of a header')
        if name in NEVER_KEPT:
            part.complain(
                f"{name} is never kept, so nothing can be verified by it; give the sender a header of its own"
            )
        return name

    def optional_header(self, key: str) -> str | None:
        """The name of a header that not every sender has."""
        return self.header(key) or None if key in self.keys else None

    def key_set(self, default: str) -> str:
        """Where the sender's public keys are."""
        return (self.keys["jwks_url"].web_address() or "") if "jwks_url" in self.keys else default

    def word(self, key: str, default: str, choices: tuple[str, ...] = ()) -> str:
        """A short text, one of *choices* if there are any."""
        if key not in self.keys:
            return default
        text = self.keys[key].text() or default
        if choices and text not in choices:
            self.keys[key].complain(f'expected one of {", ".join(choices)}, found "{excerpt(text)}"')
        elif not text.isascii() or len(text) > 40:
            self.keys[key].complain("expected at most 40 ordinary characters")
        return text


def _standard(options: _Options) -> HmacRecipe:
    """Standard Webhooks; OpenAI, Replicate. WaveSpeed's v3 is the same in hexadecimal, under the secret's own text."""
    prefix = options.word("header_prefix", "webhook").lower().rstrip("-") + "-"
    return HmacRecipe(
        keys=options.keys_in("base64", without="whsec_"),
        header=f"{prefix}signature",
        id_header=f"{prefix}id",
        timestamp_header=f"{prefix}timestamp",
        form="list",
        mark=options.word("version", "v1"),
        digest="hex" if options.word("digest", "base64", ("hex", "base64")) == "hex" else "base64",
        signed_parts=("id", "timestamp", "body"),
    )


def _hmac(options: _Options) -> HmacRecipe:
    """A digest in a header of the body alone, or of ``id.timestamp.body`` if headers for these are named."""
    id_header, timestamp_header = options.optional_header("id_header"), options.optional_header("timestamp_header")
    names = [name for name, header in (("id", id_header), ("timestamp", timestamp_header)) if header]
    return HmacRecipe(
        keys=options.keys_in("utf8"),
        header=options.header("header"),
        id_header=id_header,
        timestamp_header=timestamp_header,
        form="bare",
        mark=options.word("prefix", ""),
        digest="base64" if options.word("digest", "hex", ("hex", "base64")) == "base64" else "hex",
        signed_parts=cast(tuple[SignedPart, ...], (*names, "body")),
    )


def _with_timestamp(options: _Options) -> HmacRecipe:
    """``t=<seconds>,v1=<hex>``, over ``t.body`` or, OpenRouter's, ``t,body``."""
    return HmacRecipe(
        keys=options.keys_in("utf8"),
        header=options.header("header"),
        form="pairs",
        mark=options.word("version", "v1"),
        digest="hex",
        signed_parts=("timestamp", "body"),
        separator=options.word("separator", ".", (".", ",")),
    )


def _kie(options: _Options) -> HmacRecipe:
    """kie.ai's: it covers the task's id and the time, not the body."""
    return HmacRecipe(
        keys=options.keys_in("utf8"),
        header=options.header("header", "x-webhook-signature"),
        timestamp_header=options.header("timestamp_header", "x-webhook-timestamp"),
        form="bare",
        mark="",
        digest="base64",
        signed_parts=("job_id", "timestamp"),
    )


def _static(options: _Options) -> StaticRecipe:
    """The secret itself in a header (PiAPI)."""
    secrets = options.secrets(lambda text: text.encode())
    return StaticRecipe(digests=tuple(digest_of(secret) for secret in secrets), header=options.header("header"))


def _fal(options: _Options) -> FalRecipe:
    """fal.ai's keys are public; *jwks_url* is for your own proxy."""
    return FalRecipe(jwks_url=options.key_set(FAL_JWKS))


def _gemini(options: _Options) -> PublicKeyRecipe:
    """The ``v1a`` of Standard Webhooks, under the keys that Google publishes."""
    return PublicKeyRecipe(jwks_url=options.key_set(GEMINI_JWKS))


def _vidu(options: _Options) -> TargetRecipe:
    """Vidu's; the secret is the API key. It covers the address and the date, not the body."""
    return TargetRecipe(keys=options.keys_in("utf8"))


def _pixverse(options: _Options) -> FieldsRecipe:
    """PixVerse's; the secret is that of the webhook in its console."""
    return FieldsRecipe(keys=options.keys_in("utf8"))


_READERS: Final[Mapping[str, Callable[[_Options], Recipe]]] = {
    "standard-webhooks": _standard,
    "hmac": _hmac,
    "timestamped": _with_timestamp,
    "kie": _kie,
    "static": _static,
    "fal": _fal,
    "gemini-v1a": _gemini,
    "vidu": _vidu,
    "pixverse": _pixverse,
}


def _decode(text: str, encoding: str) -> bytes:
    """The key that *text* stands for. Raises: ValueError with a sentence that does not repeat it."""
    try:
        if encoding == "base64":
            key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        else:
            key = bytes.fromhex(text) if encoding == "hex" else text.encode()
    except (binascii.Error, ValueError):
        raise ValueError(
            f"what it holds is not {encoding}: see the provider's page, and say secret_encoding: base64, hex or utf8"
        ) from None
    if not key:
        raise ValueError("there is nothing in it but the prefix")
    return key
