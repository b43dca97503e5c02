"""What is asked of a provider for one take, and the request that its profile makes of that. Pure functions."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote

from framerelay.runs.errors import RequestInvalid
from framerelay.upstream.paths import read_path
from framerelay.upstream.profile import Profile
from framerelay.upstream.profile_models import Model
from framerelay.upstream.profile_words import Frames
from framerelay.upstream.template import fill, words_in

_NO_MODEL: Final = Model()
_DROP: Final = "drop"
_SAFE_IN_PATH: Final = "/:-._~@,"
_WITH_SLASHES: Final = ("model", "app", "id_path")
_FRAMES: Final[Mapping[tuple[bool, bool], Frames]] = {
    (True, True): "both",
    (True, False): "first",
    (False, True): "last",
    (False, False): "none",
}
_IN_WORDS: Final[Mapping[Frames, str]] = {
    "both": "a first and a last frame together",
    "first": "a first frame alone",
    "last": "a last frame without a first one",
    "none": "text alone: it needs a first frame",
}
_ABOUT: Final[Mapping[Frames, str]] = {
    "both": "last_frame",
    "first": "first_frame",
    "last": "last_frame",
    "none": "first_frame",
}

WORD_OF_FIELD: Final = {
    "reference_image_urls": "ref_images",
    "reference_video_urls": "ref_videos",
    "duration": "duration",
    "aspect_ratio": "ratio",
    "ratio": "ratio",
    "resolution": "resolution",
    "seed": "seed",
    "generate_audio": "audio",
    "watermark": "watermark",
    "return_last_frame": "return_last_frame",
    "frames": "frames",
    "camera_fixed": "camera_fixed",
    "service_tier": "service_tier",
    "execution_expires_after": "expires_after",
    "draft": "draft",
}
"""The template word for each field of a storyboard that every shot may have."""

PictureValue = str | int
"""How a picture is given: an address, a data URI, base64, or the id of an upload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """
    One take, in FrameRelay's own terms.

    ``input``: the fields of the storyboard, named as in ``docs/storyboard.md``. ``take``: our unguessable reference.
    ``callback_url``: None for a provider that cannot call back. ``extra``: raw fields for the provider, merged in last.
    """

    model: str
    input: Mapping[str, object]
    take: str
    callback_url: str | None = None
    first_frame: PictureValue | None = None
    last_frame: PictureValue | None = None
    first_frame_type: str = "image/png"
    last_frame_type: str = "image/png"
    extra: Mapping[str, object] = field(default_factory=dict)
    webhook_secret: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPlan:
    """One request without its key: *url* is a path below the provider's base, or an address."""

    method: str
    url: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


def model_of(profile: Profile, name: str) -> Model:
    """What the profile knows about the model *name*; an empty one if it knows nothing."""
    return profile.models.get(name, _NO_MODEL)


def create_request(profile: Profile, order: Order) -> RequestPlan:
    """
    The request that makes the job of *order*.

    Raises: RequestInvalid if no such request can be made.
    """
    create, words = profile.create, words_of(profile, order)
    return RequestPlan(
        method="POST",
        url=fill_address(_path(profile, words), words),
        query={key: str(value) for key, text in create.query.items() if (value := fill(text, words)) is not None},
        headers={key: _header(key, value) for key, text in create.headers.items() if (value := fill(text, words))},
        body=body_of(profile, order, words),
    )


def body_of(profile: Profile, order: Order, words: Mapping[str, object] | None = None) -> Any:
    """The body of that request, with *words* replacing those of *order* if they are given."""
    body = fill(profile.create.body, words_of(profile, order) if words is None else words)
    return _merge(_fit(body, model_of(profile, order.model)), order.extra) if isinstance(body, dict) else body


def is_sent(profile: Profile, order: Order, name: str) -> bool:
    """Whether the input field *name* of *order* makes any difference to its request, apart from raw fields."""
    whole = replace(order, extra={})
    other = replace(whole, input={each: value for each, value in order.input.items() if each != name})
    if body_of(profile, whole) != body_of(profile, other):
        return True
    create = profile.create
    return WORD_OF_FIELD[name] in {*words_in([create.post, *create.query.values(), *create.headers.values()])}


def _header(name: str, value: object) -> str:
    text = str(value)
    if not text.isascii() or not text.isprintable():
        raise RequestInvalid(f"{name} cannot hold it: a header has printable ASCII alone", param=name)
    return text


def words_of(profile: Profile, order: Order) -> dict[str, object]:
    """The template words for *order*, each as this provider and model write it."""
    words = _plain_words(order)
    rules = rules_of(profile, order.model)
    return {**words, **{word: _as_written(rule, words.get(word), words) for word, rule in rules.items()}}


def rules_of(profile: Profile, model: str) -> Mapping[str, object]:
    """How words are written for *model*: a map, a format, ``drop``, or a fixed value, by word."""
    return {**profile.create.values, **model_of(profile, model).values}


def _plain_words(order: Order) -> dict[str, object]:
    fields = order.input
    return {
        "model": order.model,
        "prompt": fields.get("prompt"),
        "first_frame": order.first_frame,
        "last_frame": order.last_frame,
        "first_frame_type": order.first_frame_type,
        "last_frame_type": order.last_frame_type,
        "ref_images": fields.get("reference_image_urls"),
        "ref_videos": fields.get("reference_video_urls"),
        "duration": _whole(fields.get("duration")),
        "ratio": fields.get("ratio") or fields.get("aspect_ratio"),
        "resolution": fields.get("resolution"),
        "seed": fields.get("seed"),
        "audio": fields.get("generate_audio"),
        "watermark": fields.get("watermark"),
        "return_last_frame": fields.get("return_last_frame"),
        "frames": fields.get("frames"),
        "camera_fixed": fields.get("camera_fixed"),
        "service_tier": fields.get("service_tier"),
        "expires_after": fields.get("execution_expires_after"),
        "draft": fields.get("draft"),
        "callback_url": order.callback_url,
        "take": order.take,
        "webhook_secret": order.webhook_secret,
        "input": _input(order),
    }


def fill_address(template: str, words: Mapping[str, object]) -> str:
    """
    *template* with *words* in it, each confined to one part of an address.

    A template that is one word and nothing else (``{kept.status}``) is that word, an address as it came.
    Raises: RequestInvalid for a word without a value.
    """
    if (whole := re.fullmatch(r"\{([^{}]+)\}", template)) is not None:
        return str(_require(words, whole[1]))
    return re.sub(r"\{([^{}]+)\}", lambda match: _part(match[1], _require(words, match[1])), template)


def _require(words: Mapping[str, object], name: str) -> object:
    value = words.get(name)
    if value is None:
        raise RequestInvalid(f"the provider's address needs {name}, which is not known", param=name)
    return value


def _part(name: str, value: object) -> str:
    """*value* as a part of an address: names of models and operations have slashes of their own, ids have none."""
    text, has_slashes = str(value), name in _WITH_SLASHES
    if any(step in ("", ".", "..") for step in (text.split("/") if has_slashes else [text])):
        raise RequestInvalid(f'"{text[:60]}" cannot be part of an address', param=name)
    return quote(text, safe=_SAFE_IN_PATH if has_slashes else "", errors="replace")


def _path(profile: Profile, words: Mapping[str, object]) -> str:
    create = profile.create
    if create.by:
        return _path_by_frames(create.by, words)
    return next((path for word, path in create.without.items() if words.get(word) is None), create.post)


def _path_by_frames(by: Mapping[Frames, str], words: Mapping[str, object]) -> str:
    """What ``by`` does not list, the provider does not make: a frame in the wrong place would be paid for."""
    frames = _FRAMES[words.get("first_frame") is not None, words.get("last_frame") is not None]
    if frames not in by:
        raise RequestInvalid(_why_not_from(frames), param=_ABOUT[frames])
    return by[frames]


def why_not_these_frames(profile: Profile, order: Order) -> str | None:
    """Why no clip can be made from exactly the frames of *order*, in words; None if one can, as far as is known."""
    by = profile.create.by
    frames = _FRAMES[order.first_frame is not None, order.last_frame is not None]
    return _why_not_from(frames) if by and frames not in by else None


def _why_not_from(frames: Frames) -> str:
    """In words for a person."""
    return f"this provider makes no clip from {_IN_WORDS[frames]}"


def _input(order: Order) -> dict[str, object]:
    """The fields as the jobs API names them."""
    fields = dict(order.input)
    if order.first_frame is not None:
        fields["first_frame_url"] = order.first_frame
    if order.last_frame is not None:
        fields["last_frame_url"] = order.last_frame
    return fields if order.callback_url is None else {**fields, "callback_url": order.callback_url}


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _as_written(rule: object, value: object, words: Mapping[str, object]) -> object:
    """*value* by a rule of ``values``: a map, a format, or ``drop``."""
    if rule == _DROP:
        return None
    if isinstance(rule, Mapping):
        return _map(rule, value, words)
    if isinstance(rule, str) and "{}" in rule:
        return None if value is None else rule.replace("{}", str(value))
    return rule


def _map(rule: Mapping[str, object], value: object, words: Mapping[str, object]) -> object:
    for key, target in rule.items():
        if key.startswith("$when_") and words.get(key.removeprefix("$when_")) is not None:
            return None if target == _DROP else target
    targets = {key.lower(): target for key, target in rule.items()}
    result = targets.get(str(value).lower(), value)
    return None if result == _DROP else result


def _fit(body: dict[str, Any], model: Model) -> dict[str, Any]:
    """*body* as this model wants it: some fields under other names, some left out, some added."""
    for place, name in model.fields.items():
        value = _take_out(body, place.split("."))
        if value is not None and name != _DROP:
            _put(body, name.split("."), value)
    for place in model.drop:
        _take_out(body, place.split("."))
    for place, value in model.set.items():
        _put(body, place.split("."), value)
    return body


def _take_out(body: dict[str, Any], keys: list[str]) -> object:
    *outer, last = keys
    for key in outer:
        inner = body.get(key)
        if not isinstance(inner, dict):
            return None
        body = inner
    return body.pop(last, None)


def _put(body: dict[str, Any], keys: list[str], value: object) -> None:
    *outer, last = keys
    for key in outer:
        body = body.setdefault(key, {})
    body[last] = value


def _merge(body: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(body)
    for key, value in over.items():
        inner = result.get(key)
        result[key] = _merge(inner, value) if isinstance(inner, dict) and isinstance(value, Mapping) else value
    return result


def kept_addresses(profile: Profile, document: object) -> Iterator[tuple[str, str]]:
    """The addresses in the answer to a create that are used later, by their names in the profile."""
    for name, path in profile.create.keep.items():
        value = read_path(path).find(document, document)
        if isinstance(value, str):
            yield name, value
