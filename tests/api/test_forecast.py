"""When the film comes: said where time alone decides, and nowhere else."""

from typing import Any

import pytest

from framerelay.api import shapes
from framerelay.api.forecast import about, film_in, film_in_s
from tests.api import example_shapes
from tests.api.example_shapes import a_shot

NOW = 1_000.0
TROUBLE = {"code": "x", "message": "no answer", "family": "server"}


def a_take(status: str, **more: Any) -> shapes.Take:
    """A take; done: within 40 s."""
    rendered_at = NOW - 10 if status == "done" else None
    return example_shapes.a_take(status, **{"submitted": NOW - 50, "rendered": rendered_at, **more})


def a_run(*shots: shapes.Shot, status: str = "running", **more: Any) -> shapes.Run:
    """A run that goes on."""
    return example_shapes.a_run(status, *shots, **more)


DONE = a_shot("s1", "done", a_take("done"))
UNDER_WAY = a_shot("s2", "generating", a_take("generating", submitted=NOW - 15), source="s1")


@pytest.mark.parametrize(
    ("shots", "seconds"),
    [
        ([DONE, UNDER_WAY], 25),
        ([DONE, UNDER_WAY, a_shot("s3", "pending", source="s2"), a_shot("s4", "pending", source="s3")], 105),
        ([DONE, UNDER_WAY, a_shot("t1", "pending"), a_shot("t2", "pending", source="t1")], 80),
        ([DONE, a_shot("s2", "generating", a_take("generating"), source="s1")], 4),
        ([DONE, UNDER_WAY, a_shot("s3", "pending", source="s2", gate="approve", approved=True)], 65),
        ([a_shot("s1", "generating", a_take("generating", submitted=NOW, usual_s=90.0))], 90),
    ],
)
def test_the_longest_way_through_the_run_is_what_is_left(shots: list[shapes.Shot], seconds: float) -> None:
    """Shots one after another add up, scenes side by side do not; what is late is nearly done."""
    assert film_in_s(a_run(*shots), now=NOW) == seconds


@pytest.mark.parametrize(
    ("takes", "seconds"),
    [
        ([a_take("generating", submitted=NOW - 15), a_take("generating", submitted=NOW - 25)], 15),
        ([a_take("generating", submitted=NOW - 15), a_take("generating", submitted=NOW - 25, error=TROUBLE)], 25),
        ([a_take("generating", submitted=NOW - 15), a_take("generating", submitted=NOW - 90)], 25),
        ([a_take("generating", submitted=NOW - 15), a_take("failed", submitted=NOW - 25)], 25),
        ([a_take("generating", submitted=NOW - 90), a_take("generating", submitted=NOW - 25, error=TROUBLE)], None),
    ],
)
def test_the_earliest_of_several_takes_counts_where_the_first_is_picked(
    takes: list[shapes.Take], seconds: float | None
) -> None:
    """One in trouble, late or failed says nothing while another is well."""
    before = [a_shot(name, "done", a_take("done")) for name in ("r1", "r2")]
    shot = a_shot("s1", "generating", *takes, takes_wanted=2, pick="first")
    assert film_in_s(a_run(*before, shot), now=NOW) == seconds
    then = a_shot("s2", "pending", source="s1", takes_wanted=2, pick="first")
    assert film_in_s(a_run(*before, shot, then), now=NOW) == (seconds and seconds + 40)
    assert film_in_s(a_run(*before, shot, then, budget={"jobs": 2}), now=NOW) is None, "one of its takes cannot be paid"


@pytest.mark.parametrize(
    "run",
    [
        a_run(DONE),
        a_run(a_shot("s1", "generating", a_take("generating"))),
        a_run(DONE, a_shot("s2", "generating", a_take("generating", submitted=NOW - 90))),
        a_run(DONE, a_shot("s2", "generating", a_take("generating", error=TROUBLE))),
        a_run(DONE, a_shot("s2", "pending", held_by=TROUBLE)),
        a_run(DONE, UNDER_WAY, a_shot("s3", "pending", source="s2", gate="approve")),
        a_run(DONE, a_shot("s2", "generating", *(a_take("generating", submitted=NOW) for _ in "ab"), takes_wanted=2)),
        a_run(DONE, UNDER_WAY, a_shot("s3", "failed")),
        a_run(DONE, UNDER_WAY, a_shot("s3", "pending"), budget={"jobs": 2}, spent={"jobs": 2}),
        a_run(DONE, UNDER_WAY, status="waiting"),
        a_run(DONE, UNDER_WAY, a_shot("t1", "generating", a_take("generating", submitted=NOW))),
    ],
)
def test_there_is_no_forecast_where_it_does_not_depend_on_time(run: shapes.Run) -> None:
    """All done; nothing known; late; trouble; waits for a yes or a pick; no money; not running; the quickest alone."""
    assert film_in(run, now=NOW) is None


def test_a_guess_is_shown_as_precisely_as_it_is_known() -> None:
    """Tens of seconds, minutes, then tens of minutes."""
    texts = {1: "10 s", 41: "50 s", 51: "1 min", 100: "2 min", 3_569: "59 min", 3_570: "1 h 00", 5_000: "1 h 20"}
    assert {seconds: about(seconds).removeprefix("about ") for seconds in texts} == texts
    assert film_in(a_run(DONE, UNDER_WAY), now=NOW) == "film in about 30 s"
