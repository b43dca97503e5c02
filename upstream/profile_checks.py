"""What types cannot check in a profile's numbers, words and prices: values that would cause trouble when used. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from framerelay.storyboards.parts import near
from framerelay.upstream.profile import Profile
from framerelay.upstream.profile_models import Durations, Model, Price
from framerelay.upstream.template import WORDS, words_in

TOKENS: Final = "w*h*24*s/1024"
"""The only formula for tokens that is known: Ark's, for every clip at 24 frames a second."""

KeyPath = tuple[str, ...]
MistakeAt = tuple[KeyPath, str]
"""The keys that lead to it, and what is wrong, in words."""


def number_mistakes(profile: Profile) -> Iterator[MistakeAt]:
    """Unusable numbers, such as a rate or a pause of zero."""
    limits, poll, batch = profile.limits, profile.poll, profile.get.batch
    yield from _at_least(("limits", "concurrent"), limits.concurrent, 1)
    yield from _above(("limits", "submits_per_minute"), limits.submits_per_minute)
    yield from _above(("poll", "max_per_minute"), poll.max_per_minute)
    yield from _above(("poll", "every_s"), poll.every_s)
    yield from _at_least(("poll", "first_s"), poll.first_s, 0)
    yield from _at_least(("get", "batch", "ids"), batch.ids if batch else None, 1)
    yield from _at_least(("download", "lives_s"), profile.download.lives_s, 1)


def word_mistakes(profile: Profile) -> Iterator[MistakeAt]:
    """Words that do not exist, where no template check would notice; and a look-up that names no job."""
    create = profile.create
    rules: dict[KeyPath, Iterable[str]] = {("create", "values"): create.values, ("create", "without"): create.without}
    rules |= {("models", name, "values"): model.values for name, model in profile.models.items()}
    for about, words in rules.items():
        yield from ((about, f'there is no word "{word}"{near(word, WORDS)}') for word in words if word not in WORDS)
    for word in {word for pair in create.exclusive for word in pair} - {*WORDS}:
        yield ("create", "exclusive"), f'there is no word "{word}"{near(word, WORDS)}'
    if not any(word in ("id", "id_path") or word.startswith("kept.") for word in words_in(profile.get.get)):
        yield ("get", "get"), "it names no job: put {id} where its id stands, or an address that was kept"


def model_mistakes(profile: Profile) -> Iterator[MistakeAt]:
    """What a model costs, and how long its clips are."""
    for name, model in profile.models.items():
        yield from (((("models", name, *about)), words) for about, words in _of_model(model))


def _of_model(model: Model) -> Iterator[MistakeAt]:
    durations = model.durations
    if isinstance(durations, Durations) and not 0 < durations.min <= durations.max:
        span = f"{durations.min:g} and {durations.max:g}"
        yield ("durations",), f"expected min above 0 and no more than max, found {span}"
    if isinstance(durations, list) and any(each <= 0 for each in durations):
        yield ("durations",), "expected seconds above 0"
    if model.price is not None:
        yield from ((("price", *about), words) for about, words in price_mistakes(model.price))


def price_mistakes(price: Price) -> Iterator[MistakeAt]:
    """Why nothing can be computed with *price*, or not with certainty."""
    tables = {name: table for name in ("per_s", "per_clip", "per_mtok") if (table := getattr(price, name)) is not None}
    if len(tables) != 1:
        yield (), f"a price is one of per_s, per_clip and per_mtok, found {' and '.join(tables) or 'none of them'}"
    for name, table in tables.items():
        amounts = list(table.values()) if isinstance(table, Mapping) else [table]
        if not amounts or any(isinstance(each, list) and not 1 <= len(each) <= 2 for each in amounts):
            yield (name,), "expected a number, or a list of two: without and with sound"
        if any(one < 0 for each in amounts for one in (each if isinstance(each, list) else [each])):
            yield (name,), "a price cannot be below zero"
    if price.tokens is not None and price.tokens.replace(" ", "") != TOKENS:
        yield ("tokens",), f'the formula "{price.tokens}" is not known; {TOKENS} is'
    if any(times < 0 for times in price.tiers.values()):
        yield ("tiers",), "expected what the price is multiplied by, for example {flex: 0.5}"
    if not price.currency.strip():
        yield ("currency",), "expected USD, CNY, …, or the provider's credits or units"


def _above(about: KeyPath, number: float | None) -> Iterator[MistakeAt]:
    if number is not None and number <= 0:
        yield about, f"expected a number above 0, found {number:g}"


def _at_least(about: KeyPath, number: float | None, least: int) -> Iterator[MistakeAt]:
    if number is not None and number < least:
        yield about, f"expected {least} or more, found {number:g}"
