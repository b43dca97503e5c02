"""Profiles as files: read, completed by the one that they extend, and checked, every mistake with its line."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from framerelay.config.urls import parse_url
from framerelay.runs.errors import Mistake, NotFound, StoryboardInvalid
from framerelay.storyboards.documents import Document, read_document
from framerelay.storyboards.parts import Part, is_near, near, root_of
from framerelay.storyboards.type_check import check_types
from framerelay.upstream.paths import read_path
from framerelay.upstream.profile import CallbackRules, Profile
from framerelay.upstream.profile_checks import KeyPath, model_mistakes, number_mistakes, word_mistakes
from framerelay.upstream.profile_models import Model
from framerelay.upstream.template import WORDS, words_in
from framerelay.upstream.verifiers import SCHEMES

DEFAULT: Final = "jobs"
_SHIPPED: Final = files("framerelay.upstream") / "profiles"
_MORE_WORDS: Final = (
    "id",
    "id_path",
    "app",
    "key",
    "item",
    "name",
    "type",
    "kind",
    "purpose",
    "page",
    "from_ms",
    "to_ms",
    "from_s",
    "to_s",
)
_EXTENDS_MAX: Final = 5
_OWN: Final = ("examples", "extends", "guessed")
_WHOLE: Final = ("price",)  # If two prices were merged key by key, nobody could say which one counts.


def profile_names() -> tuple[str, ...]:
    """The names of the profiles that come with FrameRelay, sorted."""
    return tuple(sorted(one.name.removesuffix(".yaml") for one in _SHIPPED.iterdir() if one.name.endswith(".yaml")))


@cache
def load_shipped(name: str) -> Profile:
    """The profile with that *name* that comes with FrameRelay. Raises: NotFound, with similar names."""
    if name not in profile_names():
        raise NotFound(f'there is no profile "{name}"{near(name, profile_names())}; framerelay providers lists them')
    return _profile_of(*_read_with_base(name, (_SHIPPED / f"{name}.yaml").read_bytes(), None))


def load_profile(path: Path) -> Profile:
    """
    The profile in the file *path*, completed and checked.

    Raises: StoryboardInvalid with every mistake and its line; OSError if it cannot be read.
    """
    return _profile_of(*_read_with_base(path.name, path.read_bytes(), path.parent))


def _read_with_base(name: str, data: bytes, folder: Path | None) -> tuple[Part, dict[str, Any]]:
    """The file's content, and the same merged over what it extends. Raises: StoryboardInvalid."""
    root = root_of(_read_yaml(name, data))
    check_types(root, Profile, checks=_CHECKS, partial=isinstance(root.value, dict) and "extends" in root.value)
    if not isinstance(root.value, dict):
        _raise_mistakes(root, name)
    base, own = _base_of(root, folder, _EXTENDS_MAX), cast("dict[str, Any]", root.value)
    if root.notes.wrong:
        _check_rest(root, _merge(_merge(_STAND_IN, base), own))
        _raise_mistakes(root, name)
    return root, _merge(base, own)


def _read_yaml(name: str, data: bytes) -> Document:
    """Raises: StoryboardInvalid, with the name of the file instead of a storyboard's."""
    try:
        return read_document(data, form="yaml")
    except StoryboardInvalid as error:
        raise StoryboardInvalid([replace(one, place=name) for one in error.mistakes]) from None


def _check_rest(root: Part, complete: dict[str, Any]) -> None:
    """The mistakes that types do not catch, in a profile that also has some that they do: those parts are left out."""
    for path in root.notes.wrong:
        whole = path.index("price") + 1 if "price" in path else None  # The rest of a price would be no price.
        complete = _without(complete, path[:whole])
    try:
        profile = msgspec.convert(_merge(_stand_in(root.notes.wrong), complete), Profile)
    except msgspec.ValidationError:
        return
    _check_whole(root, profile)


def _stand_in(wrong: Collection[tuple[str | int, ...]]) -> Mapping[str, Any]:
    """Adds an id and a clip if the given ones are wrong, or in a misspelled section: they are not missing."""
    has_id = any(path[:2] in (("create",), ("create", "id")) or is_near(path[0], "create") for path in wrong if path)
    has_clip = ("read", "clip") in wrong
    more = {**({"create": {"id": "id"}} if has_id else {}), **({"read": {"clip": "clip"}} if has_clip else {})}
    return _merge(_STAND_IN, more)


def _without(value: Any, path: tuple[str | int, ...]) -> Any:
    """A copy of *value* without what is at *path*; if an entry of a list is wrong, the whole list is left out."""
    if not path or not isinstance(value, dict):
        return value
    first, *rest = path
    inner = value.get(str(first))
    if rest and isinstance(inner, dict):
        return {**value, str(first): _without(inner, tuple(rest))}
    return {key: each for key, each in value.items() if key != str(first)}


_STAND_IN: Final[Mapping[str, Any]] = {
    "profile": 1,
    "id": "unnamed",
    "title": "untitled",
    "base": "https://stand-in.invalid",
    "create": {"post": "/"},
    "get": {"get": "/"},
}
"""The minimum of a profile, so that the rest of an incomplete one can be checked."""


def _base_of(root: Part, folder: Path | None, depth: int) -> dict[str, Any]:
    """The profile that *root* extends, merged with what that one extends."""
    name = root.value.get("extends") if isinstance(root.value, dict) else None
    if name is None:
        return {}
    data = _data_of(str(name), folder) if depth else None
    if data is None:
        root.complain(f'there is no profile "{name}" to extend{near(str(name), profile_names())}', about="extends")
        return {}
    base = root_of(read_document(data, form="yaml"))
    if not isinstance(base.value, dict):
        root.complain(f'"{name}" does not hold a profile', about="extends")
        return {}
    below = _base_of(base, folder, depth - 1)
    base.notes.raise_if_any()
    return _merge(below, base.value)


def _data_of(name: str, folder: Path | None) -> bytes | None:
    if name in profile_names():
        return (_SHIPPED / f"{name}.yaml").read_bytes()
    path = folder / f"{name.removesuffix('.yaml')}.yaml" if folder else None
    return path.read_bytes() if path and path.is_file() else None


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Groups are merged, anything else replaces, including a price; ``examples`` and ``guessed`` are not inherited."""
    own = {key: value for key, value in base.items() if key not in _OWN}
    for key, value in over.items():
        inner = own.get(key)
        own[key] = value
        if isinstance(inner, dict) and isinstance(value, dict) and key not in _WHOLE:
            own[key] = _merge(inner, value)
    return own


def _profile_of(root: Part, complete: Mapping[str, Any]) -> Profile:
    try:
        profile = msgspec.convert(complete, Profile)
    except msgspec.ValidationError as error:
        root.complain(f"together with what it extends: {error}")
        _raise_mistakes(root, str(complete.get("id")))
        raise AssertionError from error  # It has just been reported.
    _check_whole(root, profile)
    _raise_mistakes(root, profile.id)
    own_models = root.value.get("models") if isinstance(root.value, dict) else None
    return _with_models(profile, tuple(own_models) if own_models else tuple(profile.models))


def _with_models(profile: Profile, own: Collection[str]) -> Profile:
    """
    Each model that is ``like`` another, completed by what it leaves out.

    *own*: those that the file itself names. A gateway sells its own models: those of the profile that it extends do not
    belong to it, though ``like`` may name them.
    """
    raw = {name: cast("dict[str, Any]", msgspec.to_builtins(model)) for name, model in profile.models.items()}
    return msgspec.structs.replace(profile, models={name: msgspec.convert(_like(raw, name), Model) for name in own})


def _like(raw: Mapping[str, dict[str, Any]], name: str) -> dict[str, Any]:
    """All facts except the price: another model has another price, and budgets are enforced by it."""
    model, names = dict(raw[name]), {name}
    while (other := model.pop("like", None)) is not None and other in raw and other not in names:
        names.add(other)
        model = _merge({key: value for key, value in raw[other].items() if key != "price"}, model)
    return model


def _raise_mistakes(root: Part, name: str) -> None:
    """Raises: StoryboardInvalid; a mistake in the whole file has its name for a place."""
    try:
        root.notes.raise_if_any()
    except StoryboardInvalid as error:
        raise StoryboardInvalid(
            [replace(one, place=name if one.place == "storyboard" else one.place) for one in error.mistakes]
        ) from None


# --- checks of what the types cannot say -------------------------------------------------------------------------


def _check_path(part: Part, value: object) -> None:
    try:
        read_path(str(value))
    except ValueError as error:
        part.complain(str(error))


def _check_template(part: Part, value: object) -> None:
    for word in words_in(value):
        if word not in WORDS and word not in _MORE_WORDS and not word.startswith(("kept.", "read.")):
            part.complain(f"there is no word {{{word}}}{near(word, WORDS)}")


_CHECKS: Final = {"path": _check_path, "template": _check_template}


_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _check_whole(root: Part, profile: Profile) -> None:
    for check in (
        *(_address_mistakes, _state_mistakes, _other_mistakes),
        *(number_mistakes, word_mistakes, model_mistakes),
    ):
        for about, message in check(profile):
            root.notes.add(about, (), message)


def _address_mistakes(profile: Profile) -> Iterator[tuple[KeyPath, str]]:
    base = _host(profile.base)
    if base is None:
        yield ("base",), "expected the address of the API, for example https://api.example.com"
    hosts = {base, *profile.hosts}
    for about, address in _addresses(profile):
        if address.startswith(("/", "{kept.", "{read.")):
            continue
        host = _host(re.sub(r"\{[^}]*\}", "x", address))
        if host is None:
            yield about, f'expected a path that begins with / or an address with https://, found "{address}"'
        elif host not in hosts:
            yield about, f"the key is sent to no host that is not named: add {host} to hosts"


def _addresses(profile: Profile) -> Iterator[tuple[KeyPath, str]]:
    create, upload, recover = profile.create, profile.media.upload, profile.recover
    yield ("create", "post"), create.post
    yield from ((("create", "without", word), path) for word, path in create.without.items())
    yield from ((("create", "by", word), path) for word, path in create.by.items())
    yield ("get", "get"), profile.get.get
    if profile.read and profile.read.clip_at:
        yield ("read", "clip_at"), profile.read.clip_at
    if profile.read and profile.read.then:
        yield ("read", "then", "get"), profile.read.then.get
    if upload:
        yield ("media", "upload", "post"), upload.post
    if recover.reference != "none" and recover.reference.get:
        yield ("recover", "reference", "get"), recover.reference.get
    if recover.list != "none":
        yield ("recover", "list"), recover.list.get or recover.list.post or ""


def _state_mistakes(profile: Profile) -> Iterator[tuple[KeyPath, str]]:
    read = profile.read
    if read is None:
        return
    states = {*read.states.values(), *(rule.state for rule in read.states_if)}
    if read.then is not None and read.status is None:
        states.add("succeeded")
    if "succeeded" not in states:
        yield ("read",), "no state here says succeeded: name the word for it under states"
    if "failed" not in states and not read.failed_if:
        yield ("read",), "no state here says failed: name the word for it under states, or the value under failed_if"
    if read.clip is None and read.clip_at is None and read.then is None:
        yield ("read",), "clip is missing here: the path of the address of the clip"


def _other_mistakes(profile: Profile) -> Iterator[tuple[KeyPath, str]]:
    if profile.checked is not None and not _is_date(profile.checked):
        yield ("checked",), f'expected a date like 2026-11-29, found "{profile.checked}"'
    if not _ID.fullmatch(profile.id):
        yield ("id",), f'expected letters, digits, ".", "_" and "-" alone, found "{profile.id}"'
    for name, model in profile.models.items():
        if model.like is not None and model.like not in profile.models:
            yield (
                ("models", name, "like"),
                f'there is no model "{model.like}" here{near(model.like, tuple(profile.models))}',
            )
    signature = profile.callback.signature
    if signature != "none" and signature.scheme not in SCHEMES:
        yield ("callback", "signature"), f'there is no scheme "{signature.scheme}"{near(signature.scheme, SCHEMES)}'
    for about, status in _callback_statuses(profile.callback):
        if not 200 <= status <= 299:
            yield ("callback", *about), f"expected 200 to 299, since what is answered so is kept; found {status}"
    if profile.read is not None and profile.create.id is None:
        yield ("create",), "id is missing here: the path of the job's id in the answer"
    if "upload" in profile.media.accepts and profile.media.upload is None:
        yield ("media",), "upload is accepted, but nothing says how: add upload, or take it out of accepts"
    if profile.auth.hook is None and "{key}" not in profile.auth.value:
        yield ("auth",), "value needs the word {key}: the place where the key stands"


def _callback_statuses(rules: CallbackRules) -> Iterator[tuple[KeyPath, int]]:
    if rules.answer is not None:
        yield ("answer", "status"), rules.answer.status
    if rules.strangers is not None:
        yield ("strangers",), rules.strangers


def _host(address: str) -> str | None:
    try:
        url = parse_url(address)
        return url.host or None if url.scheme in ("http", "https") else None
    except ValueError:
        return None


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def mistakes_in(path: Path) -> tuple[Mistake, ...]:
    """Every mistake of the profile in the file *path*, except in its examples; empty if it can be used."""
    try:
        load_profile(path)
    except StoryboardInvalid as error:
        return error.mistakes
    return ()
