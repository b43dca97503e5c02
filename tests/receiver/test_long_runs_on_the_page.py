"""What the page works out for a run of many shots."""

from framerelay.api.views import run_view
from framerelay.receiver.page.next import FORMS_MAX, what_is_next
from framerelay.runs.events import PreparationFailed
from framerelay.runs.machine import apply
from framerelay.runs.model import Problem, Run
from tests.runs.test_outlook import NOW, chain, made


def a_film(shots: int) -> Run:
    """One chain; all but the last shot, which failed, are done."""
    run = chain(None, *(f"s{number}" for number in range(1, shots)))
    run = made(run, *(f"s{number}" for number in range(1, shots)))
    problem = Problem(code="x", message="no")
    return apply(run, PreparationFailed(shot_id=f"s{shots}", problem=problem, until=None), NOW)


def test_a_retake_is_looked_ahead_to_where_its_form_stands() -> None:
    """Each outlook looks at the whole run: for all shots of a long one it would take seconds."""
    few, many = a_film(FORMS_MAX), a_film(FORMS_MAX + 1)
    for run, forms in ((few, FORMS_MAX), (many, 1)):
        now = what_is_next(run, run_view(run, base_url=""), now=NOW)
        assert len(now.retakes) == len(run.shots)
        assert sum(retake is not None for retake in now.retakes.values()) == forms
        assert list(now.to_retake) == [run.shots[-1].id]
