"""What takes cost, by hand: sums are compared with decimal arithmetic, which knows no rounding of its own."""

import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framerelay.runs import events
from framerelay.runs.costs import Balance, Cost, CostTally, Estimate, reservation, together
from framerelay.runs.limits import submits_to_come
from framerelay.runs.machine import apply, begin
from framerelay.runs.model import Clip, Family, Frame, Problem, Run, RunId, RunStatus, Shot, Take, TakeStatus, Terms
from framerelay.runs.outlook import outlook_on, words_of_retake
from framerelay.runs.standing import budget_left, cost_of, jobs_spent, overview
from framerelay.runs.steps import Step, StepName, steps_due
from tests.runs.world import World, film_of

NOW = 1_000_000.0
CLIP = Clip(path="c", sha256="0", bytes=1, width=16, height=9, duration_s=5.04, frames=121)
FRAME = Frame(path="f", sha256="0", width=16, height=9)
REFUSED = Problem(code="x", message="a face", family=Family.IMAGE_MODERATED)
DIME = Estimate(low=0.05, high=0.1, currency="USD")


def priced(*estimates: Estimate | None, chained: bool = False, **more: Any) -> Run:
    """Shots s1, s2, … side by side, or each from the end of the one before it, each with its estimate."""
    shots = tuple(
        Shot(
            id=f"s{number}",
            scene="a",
            origin="continue" if chained else "cut",
            source=f"s{number - 1}" if chained and number > 1 else None,
            input={"prompt": "x"},
            estimate=estimate,
        )
        for number, estimate in enumerate(estimates, start=1)
    )
    fields: dict[str, Any] = {"terms": Terms(), **more}
    return begin(Run(id=RunId("run_1"), title="t", model="m", created_at=NOW, updated_at=NOW, shots=shots, **fields))


def submits(run: Run) -> list[str]:
    """The shots that may be submitted now."""
    return [step.shot_id for step in steps_due(run, NOW) if step.name is StepName.SUBMIT]


def intended(run: Run, shot_id: str, take: int = 1) -> Run:
    """Its submit is under way."""
    return apply(run, events.Submitting(shot_id=shot_id, take=take, intent="i", seed=None, first_frame=None), NOW)


def submitted(run: Run, shot_id: str, take: int = 1) -> Run:
    """Its job is there."""
    run = intended(run, shot_id, take)
    return apply(run, events.Submitted(shot_id=shot_id, take=take, job_id=f"{shot_id}.{take}", intent="i"), NOW)


def rendered(run: Run, shot_id: str, take: int = 1, *, cost: Cost | None = None) -> Run:
    """Its clip is there, and on our disk; the provider says what it cost, or does not."""
    ids = {"shot_id": shot_id, "take": take}
    run = apply(run, events.Rendered(**ids, job_ids=(), video_url="https://v", cost=cost), NOW)
    return apply(run, events.Collected(**ids, video=CLIP, last_frame=FRAME), NOW)


# --- a budget of money -------------------------------------------------------------------------------------------


def test_a_budget_of_money_allows_what_it_holds_to_the_last_cent() -> None:
    """Three times 0.1 is 0.3, though no program that adds fractions says so."""
    run = priced(*[DIME] * 4, budget_money=0.3, currency="USD")
    assert submits(run) == ["s1", "s2", "s3"]
    assert submits_to_come(run) == 3

    for number, rest in ((1, 200_000), (2, 100_000), (3, 0)):
        run = submitted(run, f"s{number}")
        assert budget_left(run).micros == rest
    assert submits(run) == []
    assert intended(run, "s4") is run, "the gate before money let it pass"
    assert run.status is RunStatus.RUNNING
    for number in (1, 2, 3):
        run = rendered(run, f"s{number}")
    assert run.status is RunStatus.WAITING
    assert run.error
    assert run.error.code == "budget_reached"
    assert run.error.message == (
        "shot s4: 0.00 USD of the budget of 0.30 USD are left, and a take may cost 0.10 USD; nothing more is submitted"
    )


def test_it_is_the_highest_price_that_has_to_fit() -> None:
    """What a resolution or a sound that nobody named may cost is put aside, until the provider says what it was."""
    run = priced(Estimate(low=0.1, high=0.6, currency="USD"), DIME, budget_money=0.65)
    assert submits(run) == ["s1"]

    run = submitted(run, "s1")
    assert submits(run) == []
    assert cost_of(run) == CostTally(spent=0, reserved=0.6, currency="USD", estimated=True)

    run = rendered(run, "s1", cost=Cost(amount=0.2, currency="USD", estimated=False))
    assert cost_of(run) == CostTally(spent=0.2, reserved=0, currency="USD", estimated=False)
    assert budget_left(run).micros == 450_000
    assert submits(run) == ["s2"]


def test_a_smaller_shot_goes_on_where_a_larger_one_no_longer_fits() -> None:
    """Each is asked for by its own price."""
    run = priced(Estimate(low=1, high=1, currency="USD"), DIME, budget_money=0.5)

    assert submits(run) == ["s2"]
    run = rendered(submitted(run, "s2"), "s2")
    assert run.error
    assert "0.40 USD of the budget of 0.50 USD are left, and a take may cost 1.00 USD" in run.error.message


def test_a_shot_without_a_price_fits_into_no_budget_of_money() -> None:
    """Not knowing is not nothing."""
    run = priced(None, budget_money=100.0)

    assert submits(run) == []
    assert run.status is RunStatus.WAITING
    assert run.error
    assert run.error.message == (
        "shot s1: no price is known for m, and the budget is one of money; nothing more is submitted"
    )
    assert not Balance(micros=10**9).allows(None)
    assert Balance(jobs=1).allows(None)


def test_both_budgets_hold() -> None:
    """Whichever ends first."""
    assert submits(priced(*[DIME] * 4, budget_money=0.2, budget_jobs=3)) == ["s1", "s2"]
    assert submits(priced(*[DIME] * 4, budget_money=2.0, budget_jobs=3)) == ["s1", "s2", "s3"]


def test_what_was_refused_costs_nothing_and_what_nobody_heard_of_may_have() -> None:
    """Only the provider's clear refusal gives money back."""
    about = {"shot_id": "s1", "take": 1, "intent": "i"}
    run = intended(priced(DIME, DIME, budget_money=0.1), "s1")
    assert budget_left(run).micros == 0

    refused_run = apply(run, events.SubmitRefused(**about, problem=REFUSED), NOW)
    put_off = apply(run, events.SubmitPutOff(**about, problem=REFUSED, until=NOW), NOW)
    lost_run = apply(run, events.SubmitLost(**about, problem=REFUSED), NOW)
    assert [budget_left(each).micros for each in (refused_run, put_off, lost_run)] == [100_000, 100_000, 0]
    assert cost_of(lost_run) == CostTally(spent=0, reserved=0.1, currency="USD", estimated=True)
    assert refused_run.take("s1", 1).cost is None  # type: ignore[union-attr]

    given_up = apply(lost_run, events.Elapsed(), NOW + 200_000)
    assert given_up.take("s1", 1).status is TakeStatus.EXPIRED  # type: ignore[union-attr]
    assert budget_left(given_up).micros == 0
    assert cost_of(given_up) == CostTally(spent=0.1, reserved=0, currency="USD", estimated=True)


def adopted(run: Run) -> Run:
    """s1 has failed, a person names a job, and the provider knows it."""
    end = events.JobEnded(shot_id="s1", take=1, job_ids=(), status=TakeStatus.FAILED, problem=REFUSED)
    run = apply(apply(run, end, NOW), events.Adopted(shot_id="s1", job_id="j9"), NOW)
    assert budget_left(run).micros == 150_000, "nobody knows yet if there is such a job"
    return apply(run, events.JobSeen(shot_id="s1", take=2, job_ids=("j9",), word="running"), NOW)


def refused_and_made(run: Run) -> Run:
    """The provider refused the submit of s2, and then its callback names a job."""
    run = apply(intended(run, "s2"), events.SubmitRefused(shot_id="s2", take=1, intent="i", problem=REFUSED), NOW)
    return apply(run, events.Submitted(shot_id="s2", take=1, job_id="j9", intent="i"), NOW)


def refused_and_seen(run: Run) -> Run:
    """Likewise, and the look-up that the callback has caused says what becomes of it."""
    run = apply(intended(run, "s2"), events.SubmitRefused(shot_id="s2", take=1, intent="i", problem=REFUSED), NOW)
    return apply(run, events.JobSeen(shot_id="s2", take=1, job_ids=("j9",), word="running"), NOW)


def with_unknown_job(run: Run) -> Run:
    """A job of a take that is not on record."""
    return apply(run, events.Submitted(shot_id="s1", take=9, job_id="j9"), NOW)


def second(run: Run) -> Run:
    """A second job of the same take."""
    return apply(run, events.SecondJobFound(shot_id="s1", take=1, job_ids=("j9",)), NOW)


@pytest.mark.parametrize("way", [with_unknown_job, second, adopted, refused_and_made, refused_and_seen])
def test_a_job_that_arrives_another_way_counts_by_the_price_of_its_shot(way: Callable[[Run], Run]) -> None:
    """It is paid for like any other, so it may not make the price of the run unknown, or free."""
    run = submitted(priced(DIME, DIME, budget_money=0.25), "s1")
    after = way(run)

    assert jobs_spent(after) == 2
    assert budget_left(after).micros == 50_000
    tally = cost_of(after)
    assert tally
    assert (tally.spent + tally.reserved, tally.currency) == (pytest.approx(0.2), "USD")
    assert submits(after) == []


# --- what a run cost ---------------------------------------------------------------------------------------------


def test_no_price_is_not_nothing() -> None:
    """One unknown cost makes the sum unknown; before any take it is nothing, if there is a price at all."""
    assert cost_of(priced(None)) is None
    assert cost_of(priced(DIME)) == CostTally(spent=0, reserved=0, currency="USD", estimated=False)
    assert cost_of(submitted(priced(None), "s1")) is None
    assert cost_of(submitted(priced(DIME, None), "s2")) is None
    both = submitted(submitted(priced(DIME, Estimate(low=1, high=1, currency="CNY")), "s1"), "s2")
    assert cost_of(both) is None, "dollars and yuan were added up"


def test_what_the_provider_says_counts_and_what_it_does_not_say_stays_estimated() -> None:
    """0.1 + 0.2 + 0.3 in flight; exact, and marked as an estimate as long as one of them is."""
    run = submitted(submitted(submitted(priced(*[DIME] * 3), "s1"), "s2"), "s3")
    run = rendered(run, "s1", cost=Cost(amount=0.2, currency="USD", estimated=False))

    tally = cost_of(run)
    assert tally == CostTally(spent=0.2, reserved=0.2, currency="USD", estimated=True)
    assert overview(run).micros == int((Decimal("0.2") + 2 * Decimal("0.1")) * 1_000_000)


def test_a_cost_in_another_currency_settles_nothing() -> None:
    """The price was taken out of the settings in between; five credits are not five cents of the budget."""
    run = rendered(submitted(priced(DIME), "s1"), "s1", cost=Cost(amount=0.001, currency="credits", estimated=False))

    assert run.shots[0].takes[0].cost == reservation(DIME)


def test_what_is_put_aside_is_the_highest_price() -> None:
    """None where there is no price: never 0."""
    assert reservation(DIME) == Cost(amount=0.1, currency="USD", estimated=True)
    assert reservation(None) is None


@pytest.mark.parametrize("amount", ["0.57", "1.1", "0.29", "4.35", "1.005"])
def test_no_millionth_is_lost_to_a_fraction(amount: str) -> None:
    """0.57 times a million is 569,999.9999 for a program; cut off, a take of 0.57 would not fit into 0.57."""
    price = Estimate(low=0, high=float(amount), currency="USD")
    assert Cost(amount=float(amount), currency="USD").micros == int(Decimal(amount) * 1_000_000)
    rest = Balance(micros=int(Decimal(amount) * 1_000_000)).after(price)
    assert rest == Balance(micros=0)
    assert submits(priced(price, budget_money=float(amount))) == ["s1"]


def test_a_job_that_is_done_is_spent_while_its_clip_is_fetched() -> None:
    """It was paid for, whatever becomes of the clip."""
    run = submitted(priced(DIME), "s1")
    run = apply(run, events.Rendered(shot_id="s1", take=1, job_ids=(), video_url="https://v"), NOW)
    assert cost_of(run) == CostTally(spent=0.1, reserved=0, currency="USD", estimated=True)

    run = apply(run, events.CollectFailed(shot_id="s1", take=1, problem=REFUSED), NOW)
    assert cost_of(run) == CostTally(spent=0.1, reserved=0, currency="USD", estimated=True)


def test_prices_of_one_currency_add_up_and_others_do_not() -> None:
    """A single unknown one makes the sum unknown; what is not made counts for nothing."""
    yuan = Estimate(low=1, high=2, currency="CNY")
    assert together([(DIME, 2), (DIME, 1)]) == Estimate(
        low=pytest.approx(0.15), high=pytest.approx(0.3), currency="USD"
    )
    assert together([(DIME, 2), (None, 0), (yuan, 0)]) == Estimate(low=0.1, high=0.2, currency="USD")
    assert together([(DIME, 2), (None, 1)]) is None
    assert together([(DIME, 2), (yuan, 1)]) is None
    assert together([]) is None


# --- a retake ----------------------------------------------------------------------------------------------------


def test_a_retake_costs_its_own_take_and_those_that_failed_from_its_frame() -> None:
    """s2 failed with the frame of s1: made again, both are; s3 waited for s2, and was to be paid for anyway."""
    prices = [Estimate(low=1, high=2, currency="USD"), Estimate(low=0.5, high=0.5, currency="USD"), DIME]
    run = submitted(rendered(submitted(priced(*prices, chained=True), "s1"), "s1"), "s2")
    run = apply(run, events.JobEnded(shot_id="s2", take=1, job_ids=(), status=TakeStatus.FAILED, problem=REFUSED), NOW)

    assert outlook_on(run, events.Retaken(shot_id="s1")).cost == Estimate(low=1.5, high=2.5, currency="USD")
    assert words_of_retake(run, events.Retaken(shot_id="s1")).startswith(
        "shot s1 is made again, for 2 jobs, 1.50 to 2.50 USD"
    )
    assert outlook_on(run, events.Retaken(shot_id="nobody")).cost is None


def test_a_retake_that_does_not_fit_into_the_budget_is_refused() -> None:
    """In words that say what is left and what it takes."""
    run = rendered(submitted(priced(DIME, budget_money=0.15), "s1"), "s1")

    assert apply(run, events.Retaken(shot_id="s1"), NOW) is run
    cheaper = replace(run, budget_money=0.2)
    assert apply(begin(cheaper), events.Retaken(shot_id="s1"), NOW) is not run


# --- whatever happens --------------------------------------------------------------------------------------------


class Purse(World):
    """A world that holds money: each intent within the budget, and each sum as all takes together make it."""

    def check(self, before: Run, event: events.Event) -> None:
        """What no event may break, and what it may cost."""
        super().check(before, event)
        run = self.run
        assert overview(run).micros == sum(map(micros, alive(run))), f"the sum that is carried on is off after {event}"
        assert overview(run).micros == overview(replace(run, index=replace(run.index, overview=None))).micros
        tally = cost_of(run)
        assert tally is not None, f"a take without a price after {event}"
        parts = [Decimal(str(take.cost.amount)) for take in alive(run) if take.cost]
        assert Decimal(str(tally.spent)) + Decimal(str(tally.reserved)) == pytest.approx(sum(parts))
        if isinstance(event, events.Submitting) and run is not before:
            assert run.budget_money is not None
            assert sum(map(micros, alive(run))) <= round(run.budget_money * 1_000_000), f"too much after {event}"

    def save(self, event: events.Event) -> bool:
        """A clip may cost less or more than was put aside for it."""
        if isinstance(event, events.Rendered) and self.happens(0.7):
            cost = Cost(amount=round(self.chance.uniform(0, 0.7), 3), currency="USD", estimated=False)
            event = replace(event, cost=cost)
        return super().save(event)


def alive(run: Run) -> list[Take]:
    """The takes that were or may have been accepted, or are being submitted."""
    given_up = (TakeStatus.EXPIRED, TakeStatus.CANCELLED)
    open_ones = (TakeStatus.SUBMITTING, TakeStatus.UNSURE)
    takes = [take for shot in run.shots for take in shot.takes]
    unproven = [
        take for take in takes if take.intent == "adopted" and not (take.word or take.rendered_at or take.ended_at)
    ]
    with_jobs = [take for take in takes if take.job_ids or take.status in (*open_ones, *given_up)]
    return [take for take in with_jobs if take not in unproven]


def micros(take: Take) -> int:
    """By decimal arithmetic."""
    return 0 if take.cost is None else int((Decimal(str(take.cost.amount)) * 1_000_000).to_integral_value())


@settings(max_examples=50)
@given(
    seed=st.integers(0, 2**32),
    money=st.sampled_from([0.3, 0.7, 1.1, 2.2]),
    prices=st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.07]), min_size=1, max_size=4),
)
def test_no_interleaving_spends_more_than_the_budget_of_money(seed: int, money: float, prices: list[float]) -> None:
    """Losses, repeats, deaths and decisions at any moment: a submit never leaves that the budget might not pay for."""
    run = film_of(2, 2, budget_money=money, currency="USD")
    shots = [
        replace(shot, estimate=Estimate(low=0, high=prices[place % len(prices)], currency="USD"))
        for place, shot in enumerate(run.shots)
    ]
    world = Purse(run=begin(replace(run, shots=tuple(shots))), chance=random.Random(seed), loss=0.2, death=0.1)
    world.failure = 0.1
    for _ in range(world.chance.randint(10, 80)):
        world.tick()
        for _ in range(world.chance.randint(0, 4)):
            world.go_on()
            world.chance.choice([world.decide, world.say_again, world.go_on, world.go_on])()
    world.settle()

    assert all(shot.estimate for shot in world.run.shots)


@settings(max_examples=200)
@given(
    money=st.decimals(min_value=0, max_value=50, places=2),
    prices=st.lists(st.decimals(min_value=0, max_value=9, places=3), max_size=12),
)
def test_steps_stop_where_decimal_arithmetic_does(money: Decimal, prices: list[Decimal]) -> None:
    """All steps that are due may be taken at once, and still keep the budget."""
    estimates = [Estimate(low=0, high=float(price), currency="USD") for price in prices]
    run = priced(*estimates, budget_money=float(money)) if prices else None

    rest, steps = money, []
    for number, price in enumerate(prices, start=1):
        if price <= rest:
            steps.append(Step(name=StepName.SUBMIT, run_id=RunId("run_1"), shot_id=f"s{number}", take=1))
            rest -= price
    assert (steps_due(run, NOW) if run else []) == steps
