"""Another budget for a run that has begun: when it lets the run go on, and when it is refused."""

from dataclasses import replace

import pytest

from framerelay.runs import events
from framerelay.runs.costs import Estimate
from framerelay.runs.decisions import why_not
from framerelay.runs.limits import shortfall
from framerelay.runs.machine import apply
from framerelay.runs.model import Run, RunStatus
from framerelay.runs.standing import budget_left, jobs_spent
from tests.runs.films import joined
from tests.runs.test_costs import DIME, NOW, intended, priced, rendered, submits, submitted

YUAN = Estimate(low=1, high=2, currency="CNY")


def with_take(run: Run, shot: str) -> Run:
    """Its first take is done."""
    return rendered(submitted(run, shot), shot)


def resumed(run: Run, **limits: float) -> Run:
    """*run* after a person gave it these limits, which is possible."""
    event = events.Resumed(**limits)  # type: ignore[arg-type]
    assert why_not(run, event, NOW) is None
    return apply(run, event, NOW)


def refusal(run: Run, **limits: float) -> str:
    """Why *run* cannot have these limits; with them it is the very same run."""
    event = events.Resumed(**limits)  # type: ignore[arg-type]
    assert apply(run, event, NOW) is run
    return why_not(run, event, NOW) or ""


def test_a_run_that_waits_for_its_budget_goes_on_with_more() -> None:
    """One job was allowed and is spent; with two the next shot is submitted, with no other decision."""
    run = with_take(priced(None, None, chained=True, budget_jobs=1), "s1")
    assert (run.status, run.error.code if run.error else None) == (RunStatus.WAITING, "budget_reached")
    after = resumed(run, budget_jobs=2)
    assert (after.status, submits(after), after.budget_jobs) == (RunStatus.RUNNING, ["s2"], 2)


def test_money_likewise() -> None:
    """10 cents were allowed; at 25 there are two more, and no third."""
    run = with_take(priced(DIME, DIME, DIME, DIME, chained=False, budget_money=0.1, currency="USD"), "s1")
    assert submits(run) == []
    assert submits(resumed(run, budget_money=0.25)) == ["s2"]
    assert submits(resumed(run, budget_money=0.3)) == ["s2", "s3"]


def test_less_than_was_spent_is_refused_with_a_sentence() -> None:
    """Also what is under way counts: its money is put aside."""
    run = intended(with_take(priced(DIME, DIME, DIME, budget_jobs=3, budget_money=1, currency="USD"), "s1"), "s2")
    assert refusal(run, budget_jobs=1) == "2 jobs are spent already; a budget of 1 is less"
    assert refusal(run, budget_money=0.15) == "0.20 USD are spent or put aside already; a budget of 0.15 USD is less"
    assert submits(resumed(run, budget_jobs=2)) == [], "a smaller one than before is not a mistake"


def test_a_budget_alone_is_a_change_of_a_run_that_goes_on() -> None:
    """It goes on as before, within the new limit; the same limit again is no change."""
    run = priced(None, None, budget_jobs=1)
    after = resumed(run, budget_jobs=5)
    assert (after.status, budget_left(after).jobs, submits(after)) == (RunStatus.RUNNING, 5, ["s1", "s2"])
    assert "the run has this budget already" in refusal(after, budget_jobs=5)
    assert refusal(after) == "there is nothing to resume: the run is going on"


def test_a_film_that_is_there_stays_and_can_be_retaken_within_more() -> None:
    """Nothing of it is joined again; before, a retake was refused."""
    run = with_take(priced(None, budget_jobs=1), "s1")
    run = apply(run, joined(run), NOW)
    assert why_not(run, events.Retaken(shot_id="s1"), NOW) == "the budget of 1 job is spent"
    after = resumed(run, budget_jobs=2)
    assert (after.status, after.film) == (RunStatus.SUCCEEDED, run.film)
    assert why_not(after, events.Retaken(shot_id="s1"), NOW) is None


def test_a_run_without_a_budget_gets_one() -> None:
    """With the currency of its prices."""
    after = resumed(priced(DIME), budget_money=0.05)
    assert (after.currency, submits(after)) == ("USD", [])


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (
            priced(DIME, None),
            "no price is known for m (shot s2), so the money cannot be kept to: give a budget of jobs",
        ),
        (
            priced(DIME, replace(DIME, unpriced=("n", "mode"))),
            "what n and mode add to the price of m is not known (shot s2), so the money cannot be kept to: "
            "give a budget of jobs",
        ),
        (priced(DIME, YUAN), "prices are in CNY and USD: nothing is converted here; give a budget of jobs"),
        (priced(DIME, currency="CNY"), "prices are in CNY and USD"),
        (replace(priced(DIME), cancelled=True), "the run was cancelled; start it again"),
    ],
)
def test_money_that_cannot_be_kept_to_is_refused_as_at_the_start(run: Run, words: str) -> None:
    """And a cancelled run stays one."""
    assert words in refusal(run, budget_money=5)


def test_what_is_missing_says_how_much_more_it_takes() -> None:
    """To the end of the film, if nothing fails; nothing where the limit is wide enough."""
    run = with_take(
        priced(DIME, DIME, DIME, DIME, chained=True, budget_jobs=1, budget_money=0.25, currency="USD"), "s1"
    )
    need = shortfall(run)
    assert (need.jobs, round(need.money, 6)) == (3, 0.15)
    assert shortfall(resumed(run, budget_jobs=9, budget_money=9)).jobs == 0
    assert (shortfall(priced(None)).jobs, shortfall(priced(None)).money) == (0, 0.0)


def test_a_lower_limit_never_frees_a_job() -> None:
    """Spent never falls, whatever is said about limits."""
    run = with_take(priced(None, None, budget_jobs=4), "s1")
    assert jobs_spent(resumed(run, budget_jobs=1)) == 1
