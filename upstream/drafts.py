"""A storyboard as a draft: each shot as small and cheap as its maker can, for viewing only. Pure functions."""

import re
from dataclasses import replace
from typing import Any, Final

from framerelay.runs.model import Shot
from framerelay.storyboards.storyboard import Storyboard
from framerelay.upstream.profile_models import Model

SMALL: Final = "480p"


def draft_of(board: Storyboard, shot: Shot, model: Model) -> Shot:
    """
    *shot* of *board* with what its model defines as a draft, and what the storyboard wants of drafts.

    The original values are stored with it, for the final to which it is promoted.
    """
    draft = board.draft or {}
    fields: dict[str, Any] = {**(model.draft or {"resolution": _smallest(model)}), **draft}
    if "duration" in draft and "frames" not in draft and "frames" in shot.input:
        fields["frames"] = None  # It would take precedence over the seconds.
    small = {name: value for name, value in {**shot.input, **fields}.items() if value is not None}
    return replace(shot, input=small, final={name: shot.input.get(name) for name in fields})


def _smallest(model: Model) -> str:
    sizes = [(int(digits[0]), size) for size in model.resolutions or () if (digits := re.match(r"[0-9]{3,4}", size))]
    return min(sizes)[1] if sizes else SMALL
