"""What a budget no longer allows, in words."""

from framerelay.runs.costs import MICROS, Balance
from framerelay.runs.model import Run, Shot
from framerelay.runs.text import amount_words, join_names, number_of


def budget_words(run: Run, shot: Shot, balance: Balance) -> str:
    """Why the budget does not allow one more take of *shot*."""
    if balance.jobs == 0 or balance.micros is None:
        return f"the budget of {number_of('job', run.budget_jobs or 0)} is spent"
    words = words_of_no_price(run.model_of(shot), shot)
    if words is not None or shot.estimate is None:
        return f"{words}, and the budget is one of money"
    currency = shot.estimate.currency
    amounts = (run.budget_money or 0.0, max(0.0, balance.micros / MICROS), shot.estimate.high)
    budget, rest, price = (amount_words(amount, currency) for amount in amounts)
    if rest == price:  # They differ only in fractions of a cent.
        rest, price = (f"{amount:.4f} {currency}" for amount in amounts[1:])
    return f"{rest} of the budget of {budget} are left, and a take may cost {price}"


def words_of_no_price(model: str, shot: Shot) -> str | None:
    """Why a money limit cannot be enforced with the quoted cost of a take of *shot*; None if it can."""
    if shot.estimate is None:
        return f"no price is known for {model}"
    parts = shot.estimate.unpriced
    adds = "adds" if len(parts) == 1 else "add"
    return f"what {join_names(parts, 'and')} {adds} to the price of {model} is not known" if parts else None
