"""
Which changes of a run are sent to its ``notify_url``: pure functions of the run before and after.

    notices = notices_of(before, after)      one for each thing that this change brought about, usually none
"""

import hashlib
from collections.abc import Iterator
from itertools import zip_longest
from typing import Final

import msgspec

from framerelay.runs.attention import asks_a_person, is_out_of_order
from framerelay.runs.model import Run, RunStatus, Shot, ShotStatus, TakeStatus
from framerelay.runs.notice_kinds import NoticeType
from framerelay.runs.standing import jobs_left, takes_missing
from framerelay.runs.wire_names import WIRE_NAMES


class Notice(msgspec.Struct, frozen=True, kw_only=True, rename=WIRE_NAMES):
    """
    One thing to report, to the address *to*; a struct, since it is stored as it is.

    ``id`` follows from the run, its revision, type and shot: the same change is the same notice, no matter who saves it
    again. ``status``: the shot's for ``shot.…``, otherwise the run's. ``at``: seconds since 1970, when it happened.
    """

    id: str
    type: NoticeType
    run_id: str
    shot_id: str | None
    status: str
    to: str
    at: float
    labels: dict[str, str] = {}
    is_draft: bool = False


RUN_TYPES: Final = {
    RunStatus.SUCCEEDED: NoticeType.RUN_SUCCEEDED,
    RunStatus.FAILED: NoticeType.RUN_FAILED,
    RunStatus.WAITING: NoticeType.RUN_WAITING,
}
SHOT_TYPES: Final = {ShotStatus.DONE: NoticeType.SHOT_SUCCEEDED, ShotStatus.FAILED: NoticeType.SHOT_FAILED}


def notices_of(before: Run | None, after: Run) -> tuple[Notice, ...]:
    """
    What is worth reporting about the step from *before* (None: the run is new) to *after*; nothing without a
    ``notify_url``.

    A run that waits is reported when nothing is under way, and earlier if a shot asks for an approval or a pick while
    others go on: one notice for each change, however many shots ask. Waiting for a provider that is out of order comes
    and goes with each try: that is the same notice for an hour.
    """
    if after.notify_url is None:
        return ()
    changes = list(_changes(before, after))
    notices = [
        _notice(after, SHOT_TYPES[shot.status], shot)
        for was, shot in changes
        if shot.status in SHOT_TYPES and (was is None or was.status is not shot.status)
    ]
    if is_out_of_budget(after) and not (before is not None and is_out_of_budget(before)):
        notices.append(_notice(after, NoticeType.BUDGET_REACHED))
    asking = [shot for was, shot in changes if asks_a_person(shot) and not (was and asks_a_person(was))]
    came_to = RUN_TYPES.get(after.status) if before is None or before.status is not after.status else None
    if came_to is NoticeType.RUN_WAITING or (asking and came_to is None):
        waiting = asking or [shot for shot in after.story if shot.status is ShotStatus.WAITING]
        tried_on = not asking and any(is_out_of_order(shot) for shot in waiting)
        when = f"hour {after.updated_at // 3600:.0f}" if tried_on else str(after.revision)
        notices.append(_notice(after, NoticeType.RUN_WAITING, *waiting[:1], status=after.status, when=when))
    elif came_to is not None:
        notices.append(_notice(after, came_to))
    return tuple(notices)


def is_out_of_budget(run: Run) -> bool:
    """
    The provider has accepted every job of the budget, and shots still want more.

    Submits that are only intended do not count: one that is put off comes back, and would be reported each time.
    """
    if run.budget_money is not None and run.error is not None and run.error.code == "budget_reached":
        return True
    if run.cancelled or run.film or run.budget_jobs is None or jobs_left(run) != 0:
        return False
    jobs = sum(bool(take.job_ids) or take.status is TakeStatus.UNSURE for shot in run.shots for take in shot.takes)
    return jobs >= run.budget_jobs and any(takes_missing(run, shot) for shot in run.shots if not shot.error)


def _changes(before: Run | None, after: Run) -> Iterator[tuple[Shot | None, Shot]]:
    """Shots of the film that have changed, with their earlier versions; an amendment gives them other places."""
    earlier = () if before is None else before.shots
    for was, shot in zip_longest(earlier[: len(after.story)], after.story):
        if was is shot:
            continue
        if before is not None and (was is None or was.id != shot.id):
            was = before.shot(shot.id)
        yield was, shot


def _notice(
    run: Run, kind: NoticeType, shot: Shot | None = None, *, status: str | None = None, when: str | None = None
) -> Notice:
    name = shot.name if shot else None
    digest = hashlib.sha256(f"{run.id}:{when or run.revision}:{kind}:{name or ''}".encode()).hexdigest()
    return Notice(
        id=f"ntf_{digest[:24]}",
        type=kind,
        run_id=run.id,
        shot_id=name,
        status=status or (shot.status if shot else run.status).value,
        to=run.notify_url or "",
        at=run.updated_at,
        labels=run.labels,
        is_draft=run.is_draft,
    )
