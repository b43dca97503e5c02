"""Another storyboard for a run, as the event that it is; what it makes of the run: `runs.amend`."""

from dataclasses import dataclass

from framerelay.runs.model import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Amended:
    """
    A person gave another storyboard: the run is to be as *target*, which is a new run of it.

    *revision*: of the run that they looked at.
    """

    target: Run
    revision: int | None = None
