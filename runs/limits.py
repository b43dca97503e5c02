"""Changing the budget of a run that has begun, as pure functions: what it may be, and why not."""

from dataclasses import dataclass, replace
from typing import Final

from framerelay.runs import events
from framerelay.runs.budget import words_of_no_price
from framerelay.runs.costs import MICROS
from framerelay.runs.model import Run
from framerelay.runs.standing import budget_left, overview, takes_to_come
from framerelay.runs.text import amount_words, number_of

JOBS_MAX: Final = 999_999
MONEY_MAX: Final = 1_000_000_000


def with_budget(run: Run, event: events.Resumed) -> Run:
    """*run* with the limits that *event* names; the same object if they are its own, or none are named."""
    jobs = run.budget_jobs if event.budget_jobs is None else event.budget_jobs
    money = run.budget_money if event.budget_money is None else event.budget_money
    if (jobs, money) == (run.budget_jobs, run.budget_money):
        return run
    return replace(run, budget_jobs=jobs, budget_money=money, currency=run.currency or _currency(run, money))


def why_no_budget(run: Run, event: events.Resumed) -> str | None:
    """Why *run* cannot have the limits that *event* names, in words for a person; None if it can."""
    return _why_not_jobs(run, event.budget_jobs) or _why_not_money(run, event.budget_money)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """By how much a budget is too small for what is missing, if nothing fails; 0 if it suffices or is no limit."""

    jobs: int
    money: float


def shortfall(run: Run) -> Shortfall:
    """What has to be added to the budgets of *run* so that it can finish."""
    balance = budget_left(run)
    missing = [(shot.estimate, takes_to_come(run, shot)) for shot in run.story]
    jobs = 0 if balance.jobs is None else sum(number for _, number in missing) - balance.jobs
    high = sum(estimate.high * number for estimate, number in missing if estimate)
    money = 0.0 if balance.micros is None else high - balance.micros / MICROS
    return Shortfall(jobs=max(0, jobs), money=max(0.0, money))


def submits_to_come(run: Run) -> int:
    """How many submits are still to come in *run* if nothing fails: every take that is missing, within the budget."""
    if run.cancelled or run.film:
        return 0
    number, balance = 0, budget_left(run)
    for shot in run.shots:
        for _ in range(takes_to_come(run, shot)):
            if not balance.allows(shot.estimate):
                break
            number, balance = number + 1, balance.after(shot.estimate)
    return number


def _why_not_jobs(run: Run, jobs: int | None) -> str | None:
    number = overview(run).spent + overview(run).intents
    if jobs is None or jobs >= number:
        return None
    return f"{number_of('job', number)} {'is' if number == 1 else 'are'} spent already; a budget of {jobs} is less"


def _why_not_money(run: Run, money: float | None) -> str | None:
    """If a price is unknown or in another currency, a money limit cannot be enforced: the same rule as at the start."""
    if money is None:
        return None
    for shot in run.story:
        if (words := words_of_no_price(run.model_of(shot), shot)) is not None:
            return f"{words} (shot {shot.name}), so the money cannot be kept to: give a budget of jobs"
    currencies = {shot.estimate.currency for shot in run.story if shot.estimate} | {run.currency or ""} - {""}
    if len(currencies) > 1:
        return f"prices are in {' and '.join(sorted(currencies))}: nothing is converted here; give a budget of jobs"
    micros = overview(run).micros
    if round(money * MICROS) >= micros:
        return None
    currency = currencies.pop()
    amounts = amount_words(micros / MICROS, currency), amount_words(money, currency)
    return f"{amounts[0]} are spent or put aside already; a budget of {amounts[1]} is less"


def _currency(run: Run, money: float | None) -> str | None:
    """The currency of its prices, so that everybody who reads the budget knows it."""
    prices = (shot.estimate.currency for shot in run.story if shot.estimate)
    return None if money is None else next(prices, None)
