"""Places at providers: who gets one, who waits, in which turn, and what refusals teach."""

from typing import Any

import pytest

from framerelay.store.places import Allowance, Places, TakePlace

pytestmark = pytest.mark.anyio

FIVE = Allowance(jobs_at_once=5)


def take(name: str, run_id: str = "run_a") -> TakePlace:
    return TakePlace(run_id=run_id, shot_id=name, take=1)


@pytest.fixture
def places(redis: Any) -> Places:
    return Places(redis)


async def enter(places: Places, *names: str, run_id: str = "run_a", allowance: Allowance = FIVE) -> list[bool]:
    return [(await places.enter("p", take(name, run_id), allowance)).has_place for name in names]


async def names(places: Places) -> list[str]:
    return [place.shot_id for place in await places.waiting("p")]


async def test_as_many_are_let_in_as_there_are_places_and_the_rest_wait_in_turn(places: Places) -> None:
    """Asking again neither gives a second place nor loses the turn."""
    assert await enter(places, *"abcdefg") == [True] * 5 + [False] * 2
    assert await enter(places, "a", "g", "f") == [True, False, False]

    assert await names(places) == ["f", "g"]
    assert (await places.enter("p", take("g"), FIVE)).ahead == 1


async def test_the_end_of_a_job_lets_the_next_one_in(places: Places) -> None:
    """The one who frees a place need not know how many there are."""
    await enter(places, *"abcdefg")

    assert await places.leave("p", take("c")) == (take("f"),)
    assert await places.leave("p", take("c")) == ()
    assert {place.shot_id for place, _ in await places.inside("p")} == set("abdef")


async def test_runs_take_turns_however_much_they_ask_for(places: Places) -> None:
    """A large run that came first does not keep a small one waiting for all of it."""
    one = Allowance(jobs_at_once=1)
    await enter(places, *"abcdef", allowance=one)
    await enter(places, "x", "y", run_id="run_b", allowance=one)

    order = []
    last = take("a")
    while entries := await places.leave("p", last):
        (last,) = entries
        order.append(last.shot_id)

    assert order.index("x") <= 2
    assert order.index("y") <= 4
    assert [name for name in order if name not in "xy"] == list("bcdef")


async def test_a_refusal_teaches_how_many_there_are(places: Places) -> None:
    """What is in flight is the limit then; nobody rests, since the end of a job makes room."""
    unknown = Allowance(begin_with=3)
    assert await enter(places, "a", "b", "c", allowance=unknown) == [True] * 3

    assert await places.note_refusal("p", take("c"), retry_after_s=30.0) == 0
    assert await enter(places, "c", "d", allowance=unknown) == [False, False]
    assert await places.leave("p", take("a")) == (take("c"),)


async def test_acceptances_let_one_more_in_each_until_a_refusal(places: Places) -> None:
    """Nobody has to say how many places there are."""
    unknown = Allowance(begin_with=1)
    assert await enter(places, *"abcd", allowance=unknown) == [True, False, False, False]

    assert await places.note_acceptance("p", take("a")) == (take("b"),)
    assert await places.note_acceptance("p", take("b")) == (take("c"),)
    assert await places.note_refusal("p", take("c"), retry_after_s=None) == 0
    assert await places.note_acceptance("p", take("b")) == ()


async def test_a_provider_that_refuses_with_nothing_in_flight_is_left_alone_for_a_while(places: Places) -> None:
    """Something else uses the same key, or it wants fewer submits a minute: there the clock is all there is."""
    await enter(places, "a")

    assert await places.note_refusal("p", take("a"), retry_after_s=30.0) == pytest.approx(30.0, abs=1.0)
    assert await enter(places, "a") == [False]


async def test_submits_are_spread_over_a_minute(places: Places) -> None:
    """The second one leaves when its time has come, and asking again for the first costs it nothing."""
    slow = Allowance(submits_per_minute=60)

    first, second, again = [await places.enter("p", take(name), slow) for name in "aba"]

    assert (first.has_place, first.wait_s) == (True, 0)
    assert (second.has_place, second.wait_s) == (True, pytest.approx(1.0, abs=0.5))
    assert (again.has_place, again.wait_s) == (True, 0)
