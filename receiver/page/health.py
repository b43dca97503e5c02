"""The state of callbacks in figures: over the newest ones, and the newest runs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from framerelay.runs.model import Run
from framerelay.runs.standing import callbacks_missed, seems_unreachable
from framerelay.store.inbox import Callback


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackHealth:
    """``by_polling``: jobs whose end we had to look up. ``unreachable``: ids of the runs that no callback reached."""

    arrivals: int
    by_polling: int
    refusals: int
    in_quarantine: int
    conflicts: int
    unreachable: Sequence[str]
    of_callbacks: int
    of_runs: int


def health_of(callbacks: Sequence[Callback], runs: Sequence[Run]) -> CallbackHealth:
    """What a person wants to know at a glance."""
    outcomes = Counter(each.outcome for each in callbacks)
    return CallbackHealth(
        arrivals=outcomes["accepted"] + outcomes["late"] + outcomes["conflict"],
        by_polling=sum(callbacks_missed(run) for run in runs),
        refusals=outcomes["refused"],
        in_quarantine=outcomes["quarantined"],
        conflicts=outcomes["conflict"],
        unreachable=[run.id for run in runs if seems_unreachable(run)],
        of_callbacks=len(callbacks),
        of_runs=len(runs),
    )
