"""``resume`` with a budget, over HTTP and on the page."""

from typing import Any

import pytest

pytestmark = pytest.mark.anyio

TWO = [{"id": "s1", "prompt": "a car"}, {"id": "s2", "prompt": "closer"}]


@pytest.fixture
async def poor(relay: Any, board: Any, render: Any) -> str:
    """A run that waits after its first shot, since its budget is spent."""
    run: str = await relay.run({**board, "budget": {"jobs": 1}, "shots": TWO})
    await render(run, "s1")
    assert (await relay.view(run))["error"]["code"] == "budget_reached"
    return run


async def test_a_larger_budget_lets_it_go_on(relay: Any, poor: str) -> None:
    """The answer is the run as it is then; the history says who gave what."""
    response = await relay.api.post(f"/v1/runs/{poor}/resume", json={"budget": {"jobs": 2}})
    run = response.json()
    assert (response.status_code, run["status"], run["budget"], run["submits_to_come"]) == (
        200,
        "running",
        {"jobs": 2},
        1,
    )
    last = [line.fields for line in await relay.store.history(poor)][-1]
    assert (last["event"], last["budget_jobs"]) == ("resumed", 2)
    again = await relay.api.post(f"/v1/runs/{poor}/resume", json={"budget": {"jobs": 2, "money": None}})
    assert (again.status_code, "this budget already" in again.json()["error"]["message"]) == (409, True)


@pytest.mark.parametrize(
    ("budget", "param", "words"),
    [
        ({"job": 9}, "budget.job", 'did you mean "jobs"?'),
        ({"jobs": "9"}, "budget.jobs", "write 9 without quotes"),
        ({"jobs": 0}, "budget.jobs", "from 1 to 999999"),
        ({"money": 0}, "budget.money", "expected an amount above 0, at most 1000000000, found 0"),
        ({"money": 1e10}, "budget.money", "at most 1000000000, found 10000000000.0"),
        ({"money": -1.5, "jobs": 2.5}, "budget.money", "budget.jobs: expected a whole number"),
        ({}, "budget", "write {jobs: 12}"),
        (9, "budget", "expected keys with values"),
    ],
)
async def test_what_is_no_budget_is_refused_with_its_place(
    relay: Any, poor: str, budget: object, param: str, words: str
) -> None:
    """And nothing happens."""
    answer = await relay.api.post(f"/v1/runs/{poor}/resume", json={"budget": budget})
    error = answer.json()["error"]
    assert (answer.status_code, words in error["message"], error["param"]) == (422, True, param), error
    assert (await relay.view(poor))["budget"] == {"jobs": 1}


async def test_a_budget_that_is_smaller_than_what_was_spent_is_refused(relay: Any, board: Any, render: Any) -> None:
    """With a message, and no resume happens as well."""
    run = await relay.run({**board, "budget": {"jobs": 2}, "shots": TWO})
    await render(run, "s1")
    await render(run, "s2")
    answer = await relay.api.post(f"/v1/runs/{run}/resume", json={"budget": {"jobs": 1}})
    assert answer.status_code == 409
    assert answer.json()["error"]["message"] == "2 jobs are spent already; a budget of 1 is less"


async def test_the_page_asks_how_much_more(browser: Any, relay: Any, poor: str) -> None:
    """The field holds what the film still needs; a decision about another state of the run is refused."""
    page = (await browser.get(f"/runs/{poor}")).text
    assert 'name="more_jobs" inputmode="numeric" required autocomplete="off" value="1"' in page
    assert "start it again" not in page
    revision = (await relay.view(poor))["revision"]
    form = {"action": "resume", "more_jobs": "3", "revision": str(revision)}
    assert (await browser.post(f"/runs/{poor}/act", data=form)).status_code == 303
    assert ((await relay.view(poor))["budget"], (await relay.view(poor))["status"]) == ({"jobs": 4}, "running")
    assert (await browser.post(f"/runs/{poor}/act", data=form)).status_code == 409
    wrong = await browser.post(f"/runs/{poor}/act", data={**form, "more_jobs": "", "more_money": "lots"})
    assert (wrong.status_code, "write 12.50" in wrong.text) == (422, True)
