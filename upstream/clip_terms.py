"""
What a request asks for that affects the price of its take, read back from it as it would be sent. Pure functions.

Raw fields of a storyboard (``extra``) are merged over everything it says in our words; a profile may write a word in
its own way, or leave it out. So the words are looked for where the profile puts them, once the request is complete.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from framerelay.upstream.order import WORD_OF_FIELD, Order, body_of, rules_of, words_of
from framerelay.upstream.profile import Profile
from framerelay.upstream.template import WORDS, words_in
from framerelay.upstream.values import text_of

PRICE_FIELDS: Final = ("duration", "frames", "resolution", "generate_audio", "service_tier")
"""The fields of a storyboard that can affect a price."""

_PICTURES: Final = ("first_frame", "last_frame", "ref_images", "ref_videos")
_LISTS: Final = ("ref_images", "ref_videos")
_NOTHING: Final = object()
_MARK: Final = re.compile("\0([a-z_]+)\0")

FieldPath = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipTerms:
    """
    What is requested, as a storyboard names it.

    ``fields``: those relevant to the price that are certain; any that are open, or cannot be read back, are left out.
    ``unpriced``: raw fields that the profile does not know: their effect on the price is unknown.
    """

    model: str
    fields: Mapping[str, object] = field(default_factory=dict)
    unpriced: tuple[str, ...] = ()


def clip_terms(profile: Profile, order: Order) -> ClipTerms:
    """What the request of *order* asks for."""
    request = _Request(profile, order)
    fields = {name: value for name in PRICE_FIELDS if (value := request.value_of(name)) is not None}
    videos = order.input.get("reference_video_urls")
    if videos and request.places_of("ref_videos"):
        fields["reference_video_urls"] = videos
    model, parts = request.model(), list(request.unknown())
    return ClipTerms(model=model or order.model, fields=fields, unpriced=tuple([*parts, *([] if model else ["model"])]))


class _Request:
    """A request made twice, with and without raw fields, and where in it each word is."""

    def __init__(self, profile: Profile, order: Order) -> None:
        self._profile, self._order = profile, order
        self._bare, self._full = body_of(profile, replace(order, extra={})), body_of(profile, order)
        self._leaves = dict(_leaves(_marked_body(profile, order)))
        create = profile.create
        self._in_address = {*words_in([create.post, *create.without.values(), *create.by.values()])}
        self._in_address |= {*words_in([*create.query.values(), *create.headers.values()])}

    def places_of(self, word: str) -> list[FieldPath]:
        """Where *word* is, alone or among others."""
        return [place for place, leaf in self._leaves.items() if word in _marks_in(leaf)]

    def value_of(self, name: str) -> object:
        """The field *name* of a storyboard, according to the request; None if that is open."""
        word, own = WORD_OF_FIELD[name], self._order.input.get(name)
        values = [self._value_at(place, word, own) for place in self.places_of(word)]
        if word in self._in_address:
            values.append(own)
        return values[0] if values and all(value == values[0] for value in values) else None

    def _value_at(self, place: FieldPath, word: str, own: object) -> object:
        before, now = _at(self._bare, place), _at(self._full, place)
        if now == before and type(now) is type(before):
            return own
        is_alone = self._leaves[place] == _mark(word)
        return _as_read(rules_of(self._profile, self._order.model).get(word), now) if is_alone else None

    def model(self) -> str | None:
        """The requested model; None if a raw field replaces it by something that is not a name."""
        names = {text_of(self._value_at(place, "model", self._order.model)) for place in self.places_of("model")}
        return names.pop() if len(names) == 1 else None if names else self._order.model

    def unknown(self) -> Iterator[str]:
        """Raw fields at places where the profile has no word of ours, and which change what is sent."""
        raw = _leaves(dict(self._order.extra)) if isinstance(self._full, dict) else ()
        for place, value in raw:
            if value is not None and place and _at(self._bare, place) != value and not self._is_read(place):
                yield ".".join(place)

    def _is_read(self, place: FieldPath) -> bool:
        """Whether a word of ours is there, and, if it affects the price, what it says."""
        around = [place[: length + 1] for length in range(len(place))]
        here = next((each for each in around if isinstance(self._leaves.get(each), str)), None)
        words = _marks_in(self._leaves[here]) if here else set()
        price_words = words & {WORD_OF_FIELD[name] for name in PRICE_FIELDS}
        return bool(words) and all(self._value_at(here, word, None) is not None for word in price_words if here)


def _marked_body(profile: Profile, order: Order) -> Any:
    """The body without raw fields, with a mark for each word instead of its value."""
    values, rules = words_of(profile, order), rules_of(profile, order.model)
    words: dict[str, object] = {word: _mark(word) for word in WORDS if rules.get(word) != "drop"}
    for word in _PICTURES:
        words[word] = None if not values.get(word) else [_mark(word)] if word in _LISTS else _mark(word)
    words["input"] = {name: _mark(word) for name, word in (*WORD_OF_FIELD.items(), ("prompt", "prompt"))}
    return body_of(profile, replace(order, extra={}), words)


def _mark(word: str) -> str:
    return f"\0{word}\0"


def _marks_in(value: object) -> set[str]:
    if isinstance(value, str):
        return set(_MARK.findall(value))
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return {mark for each in inner for mark in _marks_in(each)}


def _leaves(value: object, at: FieldPath = ()) -> Iterator[tuple[FieldPath, object]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*at, str(key)))
    else:
        yield at, value


def _at(value: object, place: FieldPath) -> object:
    for key in place:
        value = value.get(key, _NOTHING) if isinstance(value, Mapping) else _NOTHING
    return value


def _as_read(rule: object, value: object) -> object:
    """What the storyboard says if *value* is sent to the provider, by a rule of ``values``; None if nobody knows."""
    if value is None or value is _NOTHING or isinstance(value, Mapping | list):
        return None
    if isinstance(rule, Mapping):
        names = [name for name, option in rule.items() if not name.startswith("$") and _is_same(option, value)]
        return value if not names else _parse_bool(names[0]) if len(names) == 1 else None
    if isinstance(rule, str) and "{}" in rule:
        before, _, after = rule.partition("{}")
        text = str(value)
        fits = len(text) > len(before) + len(after) and text.startswith(before) and text.endswith(after)
        return text[len(before) : len(text) - len(after)] if fits else None
    return value if rule is None else None


def _is_same(option: object, value: object) -> bool:
    if isinstance(option, bool) or isinstance(value, bool):
        return option is value
    return str(option).lower() == str(value).lower()


def _parse_bool(name: str) -> object:
    return {"true": True, "false": False}.get(name, name)
