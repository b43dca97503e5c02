"""What a storyboard says to do about a failed take, without asking a person."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """
    What happens automatically when a take fails.

    ``moderated``: fields that replace those of the shot's input, once, if the request or its result was refused;
    ``since``: the number of the first take that has them, None if that has not happened. ``retakes``: most new takes
    after other failures; None: as many as the terms of the run say. ``any_failure``: also after failures of an unknown
    kind.
    """

    moderated: dict[str, Any] = field(default_factory=dict)
    since: int | None = None
    retakes: int | None = None
    any_failure: bool = False
