"""What a storyboard says of takes that fail."""

from typing import Any

import pytest

from framerelay.runs.errors import StoryboardInvalid
from framerelay.runs.reaction import Reaction
from framerelay.storyboards.storyboard import check_storyboard


def reaction_of(shot: dict[str, Any], **top: Any) -> Reaction | None:
    board = check_storyboard({"model": "m", "shots": [{"prompt": "x", **shot}], **top})
    return board.shots[0].reaction


@pytest.mark.parametrize(
    ("shot", "top", "reaction"),
    [
        ({}, {}, None),
        ({"on_failed": "retake"}, {}, Reaction(any_failure=True)),
        ({"on_failed": {"retake": 2}}, {}, Reaction(any_failure=True, retakes=2)),
        ({"on_failed": "stop"}, {"on_failed": "retake"}, Reaction(retakes=0)),
        ({}, {"on_failed": {"retake": 0}}, Reaction(any_failure=True, retakes=0)),
        ({"on_moderated": {"prompt": " y "}}, {}, Reaction(moderated={"prompt": "y"})),
        ({"on_moderated": {"prompt": "y"}}, {"style": "grain"}, Reaction(moderated={"prompt": "y, grain"})),
        (
            {"on_moderated": {"prompt": "y", "generate_audio": False}},
            {"on_failed": "retake"},
            Reaction(moderated={"prompt": "y", "generate_audio": False}, any_failure=True),
        ),
    ],
)
def test_it_is_read(shot: dict[str, Any], top: dict[str, Any], reaction: Reaction | None) -> None:
    """A shot's own goes before that for all."""
    assert reaction_of(shot, **top) == reaction


@pytest.mark.parametrize(
    ("shot", "top", "words"),
    [
        ({"on_failed": 2}, {}, "expected retake, stop, or {retake: 2}"),
        ({"on_failed": "rertake"}, {}, "expected retake, stop"),
        ({"on_failed": {"retake": 9}}, {}, "from 0 to 8"),
        ({"on_failed": {}}, {}, "write on_failed: {retake: 2}"),
        ({"on_moderated": {}}, {}, "write on_moderated: {prompt: …}"),
        ({"on_moderated": "y"}, {}, "expected keys with values"),
        ({"on_moderated": {"prompt": ""}}, {}, "this text is empty"),
        ({"on_moderated": {"duration": 5}}, {}, 'unknown key "duration"'),
        ({"on_moderated": {"generate_audio": True}}, {}, "write false, or another prompt"),
        ({}, {"on_moderated": {"prompt": "y"}}, "another prompt belongs to a shot"),
        ({}, {"on_failed": "never"}, "expected retake, stop"),
    ],
)
def test_a_mistake_is_reported_once_with_its_place(shot: dict[str, Any], top: dict[str, Any], words: str) -> None:
    """Before anything is spent."""
    with pytest.raises(StoryboardInvalid) as error:
        reaction_of(shot, **top)
    (mistake,) = error.value.mistakes
    assert words in mistake.message
