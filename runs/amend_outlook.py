"""What an amendment would do and cost, before it is made; pure functions."""

from dataclasses import dataclass
from typing import Final

from framerelay.runs.amend import Change, change_of
from framerelay.runs.costs import Estimate, together
from framerelay.runs.model import Run, Shot
from framerelay.runs.standing import budget_left, jobs_left, settle, takes_to_come
from framerelay.runs.text import amount_words, join_names, number_of, range_words

NAMED_MAX: Final = 12  # Most names in a sentence for people.


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendOutlook:
    """
    *change*, and the jobs that will be submitted from then to the end of the film if nothing fails.

    ``to_make``: the shots of these jobs. ``cost``: of all of them; None if a price is not known. ``would``: a sentence
    for the person who pays.
    """

    change: Change
    jobs: int
    to_make: frozenset[str]
    cost: Estimate | None
    would: str


def amend_outlook(run: Run, target: Run, now: float) -> AmendOutlook:
    """What it would mean for *run* to become like *target*, if it can (see `amend.why_no_change`)."""
    change = change_of(run, target, now)
    after = settle(change.run)
    jobs = _jobs_to_come(after)
    number = sum(count for _, count in jobs)
    cost = _cost_of(jobs) if number else _zero_cost(after)
    return AmendOutlook(
        change=change,
        jobs=number,
        to_make=frozenset(shot.name for shot, count in jobs if count),
        cost=cost,
        would=_words(run, change, after, number, cost),
    )


def _jobs_to_come(run: Run) -> list[tuple[Shot, int]]:
    """For each shot, as many takes as `limits.submits_to_come` counts, within the budget."""
    jobs: list[tuple[Shot, int]] = []
    balance = budget_left(run)
    for shot in run.story:
        number = 0
        while number < takes_to_come(run, shot) and balance.allows(shot.estimate):
            number, balance = number + 1, balance.after(shot.estimate)
        jobs.append((shot, number))
    return jobs


def _cost_of(jobs: list[tuple[Shot, int]]) -> Estimate | None:
    return together((shot.estimate, number) for shot, number in jobs)


def _zero_cost(run: Run) -> Estimate | None:
    currencies = {shot.estimate.currency for shot in run.story if shot.estimate}
    return Estimate(low=0.0, high=0.0, currency=currencies.pop()) if len(currencies) == 1 else None


def _words(run: Run, change: Change, after: Run, jobs: int, cost: Estimate | None) -> str:
    parts = [
        _part(change.change, "is made as it is written now", "are made as they are written now"),
        _part(change.stale, "is made again, from another frame", "are made again, from other frames"),
        _part(change.add, "is added", "are added"),
        _part(change.drop, "leaves the film, and its takes are kept", "leave the film, and their takes are kept"),
    ]
    clauses = [part for part in parts if part] or ["no shot is made again"]
    rest = jobs_left(after)
    price = number_of("job", jobs) + ("" if rest is None else f" of the {rest} left in the budget")
    if cost is not None and jobs:
        price += f", {range_words(cost.low, cost.high, cost.currency)}"
    return f"{'; '.join(clauses)}; {price} to the end of the film{_budget_words(run, after)}"


def _budget_words(before: Run, after: Run) -> str:
    """Somebody who looks only at the shots would not notice that a limit is being removed."""
    if (before.budget_jobs, before.budget_money) == (after.budget_jobs, after.budget_money):
        return ""
    jobs = [] if after.budget_jobs is None else [number_of("job", after.budget_jobs)]
    money = [] if after.budget_money is None else [amount_words(after.budget_money, after.currency or "")]
    return (
        f"; the budget is {join_names(jobs + money, 'and')} then" if jobs + money else "; there is no budget any more"
    )


def _part(names: list[str], one: str, many: str) -> str:
    if not names:
        return ""
    words = [*names[:NAMED_MAX], *([f"{len(names) - NAMED_MAX} more"] if len(names) > NAMED_MAX else [])]
    return f"{join_names(words, 'and')} {one if len(names) == 1 else many}"
