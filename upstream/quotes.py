"""A storyboard with what each shot may cost: computed once, before it is planned or started."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from framerelay.runs.budget import words_of_no_price
from framerelay.runs.costs import Estimate
from framerelay.runs.errors import Mistake, NotFound, StoryboardInvalid
from framerelay.runs.model import Shot
from framerelay.storyboards.documents import Path, line_at, place_of
from framerelay.storyboards.storyboard import Storyboard
from framerelay.upstream.clip_terms import ClipTerms, clip_terms
from framerelay.upstream.drafts import draft_of
from framerelay.upstream.order import Order, model_of
from framerelay.upstream.prices import estimate
from framerelay.upstream.profile import Profile
from framerelay.upstream.providers import Provider, Providers

FREE_WORDS: Final = "name it under free of that price in framerelay.yaml if it adds nothing"


def with_estimates(board: Storyboard, providers: Providers) -> Storyboard:
    """
    *board* with an estimate for each shot whose price is known; a draft is already small here.

    Raises: StoryboardInvalid if it names a provider that does not exist, or its money budget cannot be enforced: a
    price is not known, or is in another currency.
    """
    shots = tuple(_with_estimate(board, shot, providers) for shot in board.shots)
    if board.budget_money is not None and (message := _why_no_budget(board, shots)) is not None:
        raise StoryboardInvalid([_mistake(board, ("budget", "money"), message)])
    return replace(board, shots=shots)


def _with_estimate(board: Storyboard, shot: Shot, providers: Providers) -> Shot:
    provider, name = provider_of(board, shot, providers), shot.model or board.model
    if board.draft is not None and shot.final is None:
        shot = draft_of(board, shot, model_of(provider.profile, name))
    return replace(shot, estimate=estimate_of(provider, name, shot))


def estimate_of(provider: Provider, model: str, shot: Shot) -> Estimate | None:
    """What one take of *shot* by *model* may cost, by the request that it leads to; None if no price is known."""
    terms = terms_of(provider.profile, model, shot)
    return estimate(provider.price_of(terms.model), provider.profile.models.get(terms.model), terms)


def terms_of(profile: Profile, model: str, shot: Shot) -> ClipTerms:
    """What the request for a take of *shot* asks for."""
    return clip_terms(profile, order_of(model, shot))


def order_of(model: str, shot: Shot) -> Order:
    """The order of a take of *shot* before there is one; a picture counts as one, whatever it shows."""
    return Order(
        model=model,
        input=shot.input,
        take="take",
        first_frame="first" if shot.source or shot.first_frame else None,
        last_frame="last" if shot.last_frame else None,
        extra=shot.extra,
    )


def provider_of(board: Storyboard, shot: Shot, providers: Providers) -> Provider:
    """Who makes *shot*. Raises: StoryboardInvalid, at the place that names a provider that does not exist."""
    name = shot.provider or board.provider
    try:
        return providers.of(name)
    except NotFound as error:
        path = next(_named_at(board.document, name), ("provider",))
        raise StoryboardInvalid([_mistake(board, path, f"{error.message} (shot {shot.id})")]) from error


def _named_at(group: Mapping[str, Any], name: str | None, at: Path = ()) -> Iterator[Path]:
    """Where a checked document names the provider *name*, in story order."""
    if name is not None and str(group.get("provider")).strip() == name:
        yield (*at, "provider")
    for level in ("scenes", "shots"):
        for index, inner in enumerate(group.get(level, ())):
            yield from _named_at(inner, name, (*at, level, index))


def _why_no_budget(board: Storyboard, shots: tuple[Shot, ...]) -> str | None:
    for shot in shots:
        if (words := words_of_no_price(shot.model or board.model, shot)) is not None:
            advice = "set it under prices of its provider in framerelay.yaml, or give a budget of jobs"
            if shot.estimate is not None:
                advice = f"leave it out, {FREE_WORDS}, or give a budget of jobs"
            return f"{words} (shot {shot.id}), so the money cannot be kept to: {advice}"
    currencies = sorted({shot.estimate.currency for shot in shots if shot.estimate})
    currency = board.currency or currencies[0]
    other = next((each for each in currencies if each != currency), None)
    return f"the budget is in {currency}, and a price is in {other}: nothing is converted here" if other else None


def _mistake(board: Storyboard, path: Path, message: str) -> Mistake:
    return Mistake(place=place_of(path), message=message, line=line_at(board.spot, path))
