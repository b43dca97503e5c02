"""What a take costs: beforehand by the known prices, afterwards by what the provider says. Pure functions."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from framerelay.runs.costs import Cost, Estimate
from framerelay.upstream.clip_terms import ClipTerms
from framerelay.upstream.job import JobReport
from framerelay.upstream.profile import Profile
from framerelay.upstream.profile_checks import TOKENS
from framerelay.upstream.profile_models import Durations, Model, Price
from framerelay.upstream.values import number_of

FPS: Final = 24
AREA_MAX: Final = 1.05
"""How much larger than its name says a size may be: 480p in 21:9 has 992 by 432 pixels. A clip has one more frame."""

KNOWN_TIERS: Final = ("default", "flex")
"""These cost no more than a price says; a tier with another name may cost more."""

_WIDE: Final = 16 / 9  # Sizes with the same name have about the same area, whatever their ratio.
Range = tuple[float, float]


def estimate(price: Price | None, model: Model | None, terms: ClipTerms) -> Estimate | None:
    """
    What one clip may cost by *price*, given what its request says (*terms*).

    Anything left open makes a range: the resolution, the length, the sound. None if the price, or something it depends
    on, is unknown or negative: a negative price would make a budget allow takes that cost money.
    """
    base = _base_estimate(price, model, terms.fields) if price is not None else None
    if price is None or base is None or base.low < 0 or not math.isfinite(base.high):
        return None
    times = _times(price, terms.fields)
    parts = tuple(dict.fromkeys(_unknown_parts(price, model, terms)))
    return replace(base, low=base.low * times, high=base.high * times, unpriced=parts)


def _unknown_parts(price: Price, model: Model | None, terms: ClipTerms) -> Iterator[str]:
    """What may make the clip cost more than *price* says, by an unknown amount."""
    yield from (name for name in terms.unpriced if name not in price.free)
    tier, videos = terms.fields.get("service_tier"), terms.fields.get("reference_video_urls")
    if tier is not None and tier not in (*KNOWN_TIERS, *price.tiers):
        yield "service_tier"
    if price.per_s is not None and terms.fields.get("frames") is not None:
        yield "frames"  # How many make a second is not known.
    if price.per_clip is None:  # Their seconds are paid for as well, if seconds are.
        yield from ("reference_videos",) if videos else ()
        yield from () if _is_length(terms.fields.get("duration"), model) else ("duration",)


def _times(price: Price, fields: Mapping[str, object]) -> float:
    """What the price is multiplied by in the requested tier."""
    return price.tiers.get(str(fields.get("service_tier")), 1.0)


def _is_length(value: object, model: Model | None) -> bool:
    durations = model.durations if model else None
    auto = str(durations.auto) if isinstance(durations, Durations) else None
    return value is None or number_of(value) is not None or str(value) == auto


def _base_estimate(price: Price, model: Model | None, fields: Mapping[str, object]) -> Estimate | None:
    if price.per_clip is not None:
        return _estimate(price, _amounts(price.per_clip, fields), (1.0, 1.0))
    lengths = _lengths(model, fields)
    if lengths is None:
        return None
    if price.per_s is not None:
        return _estimate(price, _amounts(price.per_s, fields), lengths)
    return _by_tokens(price, fields, lengths)


def cost(profile: Profile, price: Price | None, report: JobReport, terms: ClipTerms | None = None) -> Cost | None:
    """
    What the provider said that a job cost, in money; None if it did not, or not in the currency of the price.

    *terms*: what was requested, on which the price of tokens may depend; None: that is no longer known.
    """
    unit = profile.read.cost_unit if profile.read else None
    if report.cost is None or report.cost < 0 or unit is None:  # A refund does not pay for further takes.
        return None
    if unit == "tokens":
        request_fields = dict(terms.fields) if terms else {}
        report_fields = {"resolution": report.resolution} if report.resolution else {}
        return _cost_of_tokens(price, report.cost, {**request_fields, **report_fields})
    return Cost(amount=report.cost, currency=unit, estimated=False) if price is None or unit == price.currency else None


def unpaid(profile: Profile, report: JobReport, *, currency: str) -> Cost | None:
    """Nothing in *currency*, for a job without a clip that is not billed: according to itself, or to its profile."""
    if report.cost == 0:
        return Cost(amount=0.0, currency=currency, estimated=False)
    return Cost(amount=0.0, currency=currency) if report.state.value in profile.billing.free else None


def _cost_of_tokens(price: Price | None, tokens: float, fields: Mapping[str, object]) -> Cost | None:
    """Tokens are not money without a price; if that depends on something unknown, the highest one counts."""
    amounts = _amounts(price.per_mtok, fields) if price is not None and price.per_mtok is not None else None
    if price is None or amounts is None:
        return None
    amount = amounts[1] * tokens / 1_000_000 * _times(price, fields)
    return Cost(amount=amount, currency=price.currency, estimated=amounts[0] != amounts[1])


def _estimate(price: Price, amounts: Range | None, lengths: Range) -> Estimate | None:
    if amounts is None:
        return None
    return Estimate(low=amounts[0] * lengths[0], high=amounts[1] * lengths[1], currency=price.currency)


def _by_tokens(price: Price, fields: Mapping[str, object], lengths: Range) -> Estimate | None:
    if price.per_mtok is None or (price.tokens or "").replace(" ", "") != TOKENS:
        return None
    each = {}
    sizes = price.per_mtok if isinstance(price.per_mtok, Mapping) else {}
    size = fields.get("resolution")
    for resolution in [str(size)] if size is not None else list(sizes):
        area, amounts = _area(resolution), _amounts(price.per_mtok, {**fields, "resolution": resolution})
        if area is not None and amounts is not None:
            least, most = (area * FPS * lengths[0], area * AREA_MAX * (FPS * lengths[1] + 1))
            each[resolution] = tuple(
                amount * pixels / 1024 / 1_000_000 for amount, pixels in zip(amounts, (least, most), strict=True)
            )
    if not each:
        return None
    return Estimate(
        low=min(low for low, _ in each.values()), high=max(high for _, high in each.values()), currency=price.currency
    )


def _area(resolution: str) -> float | None:
    """Pixels of a size by its name: 720p, 1080P, 4k."""
    names = {"2k": 1440, "4k": 2160}
    digits = re.match(r"[0-9]+", resolution)
    side = names.get(resolution.lower()) or (int(digits[0]) if digits and resolution.lower().endswith("p") else None)
    return None if side is None else _WIDE * side * side


def _amounts(table: float | Mapping[str, float | list[float]], fields: Mapping[str, object]) -> Range | None:
    """The lowest and highest price for this resolution (all, if none is named) and sound."""
    if not isinstance(table, Mapping):
        return (float(table), float(table))
    resolution = fields.get("resolution")
    names = [name for name in table if resolution is None or name.lower() == str(resolution).lower()]
    amounts = [amount for name in names for amount in _by_sound(table[name], fields)]
    return (min(amounts), max(amounts)) if amounts else None


def _by_sound(price: float | list[float], fields: Mapping[str, object]) -> list[float]:
    """One price, or those without and with sound: both if it is not known which."""
    if not isinstance(price, list):
        return [float(price)]
    sound = fields.get("generate_audio")
    return price if sound is None else [price[1 if sound and len(price) > 1 else 0]]


def _lengths(model: Model | None, fields: Mapping[str, object]) -> Range | None:
    """Seconds, from the least to the most that the clip may have; ``frames`` imply them, too, at no less than `FPS`."""
    seconds, frames = (number_of(fields.get(name)) for name in ("duration", "frames"))
    lengths = [each for each in (seconds, frames / FPS if frames else None) if each is not None and each > 0]
    if lengths and (seconds is None or seconds > 0):
        return (min(lengths), max(lengths))
    durations = model.durations if model else None
    if isinstance(durations, Durations):
        return (durations.min, durations.max)
    return (min(durations), max(durations)) if durations else None
