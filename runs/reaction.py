"""What a storyboard wants done about a take that failed, without a person."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """
    What is done by itself when a take fails.

    ``moderated``: fields in place of those of the shot's input, once, when what was asked for or made was refused;
    ``since``: the number of the first take that has them, None while it did not come to that. ``retakes``: new takes
    at most after other failures; None: as many as the terms of the run say. ``any_failure``: also after one of which
    nobody knows the kind.
    """

    moderated: dict[str, Any] = field(default_factory=dict)
    since: int | None = None
    retakes: int | None = None
    any_failure: bool = False
