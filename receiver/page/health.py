"""How the callbacks are, in figures: of the newest ones, and of the newest runs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from framerelay.runs.model import Run
from framerelay.runs.standing import callbacks_missed, seems_unreachable
from framerelay.store.inbox import Callback


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackHealth:
    """``found``: jobs whose end was found by polling. ``unreachable``: ids of the runs that no callback reached."""

    received: int
    found: int
    refused: int
    quarantined: int
    conflicts: int
    unreachable: Sequence[str]
    of_callbacks: int
    of_runs: int


def health_of(callbacks: Sequence[Callback], runs: Sequence[Run]) -> CallbackHealth:
    """What a person wants to know at a glance."""
    outcomes = Counter(each.outcome for each in callbacks)
    return CallbackHealth(
        received=outcomes["accepted"] + outcomes["late"] + outcomes["conflict"],
        found=sum(callbacks_missed(run) for run in runs),
        refused=outcomes["refused"],
        quarantined=outcomes["quarantined"],
        conflicts=outcomes["conflict"],
        unreachable=[run.id for run in runs if seems_unreachable(run)],
        of_callbacks=len(callbacks),
        of_runs=len(runs),
    )
