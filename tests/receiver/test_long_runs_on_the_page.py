"""What the page works out for a run of many shots."""

import pytest

from framerelay.api.views import run_view
from framerelay.receiver.page.next import what_is_next
from framerelay.runs.events import PreparationFailed, Retaken
from framerelay.runs.machine import apply
from framerelay.runs.model import Problem, Run
from framerelay.runs.outlook import RetakeOutlook, outlook_on
from tests.runs.test_outlook import NOW, chain, with_takes


def a_film(shots: int) -> Run:
    """One chain; all but the last shot, which failed, are done."""
    run = chain(None, *(f"s{number}" for number in range(1, shots)))
    run = with_takes(run, *(f"s{number}" for number in range(1, shots)))
    problem = Problem(code="x", message="no")
    return apply(run, PreparationFailed(shot_id=f"s{shots}", problem=problem, until=None), NOW)


def test_only_a_shot_in_need_is_looked_ahead_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outlook reads the whole run: for all shots of a long one it would take seconds."""
    shot_ids = []

    def spied(run: Run, event: Retaken) -> RetakeOutlook:
        shot_ids.append(event.shot_id)
        return outlook_on(run, event)

    monkeypatch.setattr("framerelay.receiver.page.next.outlook_on", spied)
    run = a_film(40)
    now = what_is_next(run, run_view(run, base_url=""), now=NOW)
    assert list(now.to_retake) == [run.shots[-1].id]
    assert set(shot_ids) == {run.shots[-1].id}
