"""Storyboards in a line, and the mistakes that they have."""

from typing import Any

import pytest

from framerelay.runs.errors import Mistake, StoryboardInvalid
from framerelay.storyboards.storyboard import Storyboard, check_storyboard, read_storyboard


def board(*shots: object, **top: object) -> Storyboard:
    """A storyboard of *shots*, checked."""
    return check_storyboard({"model": "m", "shots": list(shots), **top})


def mistakes(document: object, **more: Any) -> list[str]:
    """``place: message`` of every mistake in *document*."""
    with pytest.raises(StoryboardInvalid) as failure:
        check_storyboard(document, **more)
    return [str(mistake) for mistake in failure.value.mistakes]


def mistakes_of_shots(*shots: object, **top: object) -> list[str]:
    return mistakes({"model": "m", "shots": list(shots), **top})


def mistakes_in(text: str | bytes, form: Any = "yaml") -> tuple[Mistake, ...]:
    with pytest.raises(StoryboardInvalid) as failure:
        read_storyboard(text, form=form)
    return failure.value.mistakes


def sources(storyboard: Storyboard) -> dict[str, str | None]:
    return {shot.id: shot.source for shot in storyboard.shots}
