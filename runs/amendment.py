"""The event of giving a run another storyboard; what it does to the run is in `runs.amend`."""

from dataclasses import dataclass

from framerelay.runs.model import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Amended:
    """
    A person gave the run another storyboard: it is to match *target*, a new run of that storyboard.

    *revision*: the revision of the run that they looked at.
    """

    target: Run
    revision: int | None = None
