"""What takes cost: an estimate beforehand, the provider's figure afterwards, and what a budget leaves. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

MICROS: Final = 1_000_000
"""Sums are counted in whole millionths, so that addition and subtraction always come out even."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """
    What one take of a shot may cost, from *low* to *high*, in units of *currency* (``USD``).

    ``unpriced``: what it asks for that may make it cost more than *high* by an unknown amount: then a warning says so,
    and a money budget is refused.
    """

    low: float
    high: float
    currency: str
    unpriced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What one take of a shot with exactly this *input* may cost; None: no price for it is known."""

    input: dict[str, Any]
    estimate: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a take cost, in units of *currency*; *estimated*: the provider has not reported it (yet)."""

    amount: float
    currency: str
    estimated: bool = True

    @property
    def micros(self) -> int:
        """The amount in millionths."""
        return round(self.amount * MICROS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What a budget still allows: *jobs*, and *micros* (millionths of the currency) of money; None: no limit."""

    jobs: int | None = None
    micros: int | None = None

    def allows(self, estimate: Estimate | None) -> bool:
        """Whether one more take fits, at its highest price; one without a known price never fits a money budget."""
        if self.jobs == 0:
            return False
        if self.micros is None:
            return True
        return estimate is not None and not estimate.unpriced and _micros(estimate) <= self.micros

    def after(self, estimate: Estimate | None) -> "Balance":
        """What is left after one more take."""
        return Balance(
            jobs=None if self.jobs is None else self.jobs - 1,
            micros=None if self.micros is None else self.micros - (_micros(estimate) if estimate else 0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CostTally:
    """What a run cost so far: *spent* for jobs that have ended, *reserved* for those in flight."""

    spent: float
    reserved: float
    currency: str
    estimated: bool


def reservation(estimate: Estimate | None) -> Cost | None:
    """What is reserved for one take until the provider reports its cost; None if no price is known."""
    return Cost(amount=estimate.high, currency=estimate.currency) if estimate else None


def together(parts: Iterable[tuple[Estimate | None, int]]) -> Estimate | None:
    """What this many takes of each shot cost together; None if a price is not known or currencies differ."""
    pairs = [(estimate, number) for estimate, number in parts if number]
    estimates = [estimate for estimate, _ in pairs if estimate is not None]
    if len(estimates) < len(pairs) or len({estimate.currency for estimate in estimates}) != 1:
        return None
    return Estimate(
        low=sum(estimate.low * number for estimate, number in pairs if estimate),
        high=sum(estimate.high * number for estimate, number in pairs if estimate),
        currency=estimates[0].currency,
    )


def _micros(estimate: Estimate) -> int:
    return round(estimate.high * MICROS)
