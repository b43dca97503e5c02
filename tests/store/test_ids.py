"""What a person types for an id."""

import pytest

from framerelay.runs.errors import IdAmbiguous
from framerelay.runs.model import Run, RunId, Shot, Terms
from framerelay.store.ids import find_shot_id


def a_run(*names: str) -> Run:
    shots = tuple(Shot(id=name, scene="main", origin="cut", source=None, input={}) for name in names)
    return Run(id=RunId("run_1"), title="t", model="m", created_at=1, updated_at=1, shots=shots, terms=Terms())


RUN = a_run("s1", "opening", "openings", "street-1", "street-10", "street-night", "雨夜的街道")


@pytest.mark.parametrize(
    ("text", "shot_id"),
    [
        ("s1", "s1"),
        ("opening", "opening"),
        ("street-n", "street-night"),
        ("雨夜的街", "雨夜的街道"),
        ("s", None),
        ("ope", None),
        ("", None),
        ("street-10", "street-10"),
        ("street-11", None),
    ],
)
def test_a_shot_is_named_by_its_beginning(text: str, shot_id: str | None) -> None:
    """Four signs at least; a shot that has the very name goes first."""
    assert find_shot_id(RUN, text) == shot_id


def test_a_number_is_not_the_beginning_of_another() -> None:
    """Who mistypes a shot that is not there must not pay for another one."""
    assert find_shot_id(a_run("street-10", "street-11"), "street-1") is None
    assert find_shot_id(a_run("street-10"), "street-1") is None
    assert find_shot_id(a_run("street-1b"), "street-1") == "street-1b"


def test_several_are_named() -> None:
    """So that the next try fits."""
    with pytest.raises(IdAmbiguous, match="street-1, street-10, street-night"):
        find_shot_id(RUN, "street-")
