"""
What an older copy of Redis does not know, as pure functions: submits that were made after it was taken.

A run that came back with it is marked. From then on, none of its shots is submitted before the provider was asked
whether it already had been; if the provider cannot be asked, the take is held like any other whose submit had an
unknown outcome.
"""

from dataclasses import replace
from typing import Final

from framerelay.runs.model import Family, Problem, Restoration, Run, RunStatus, Shot, Take, TakeStatus

HELD: Final = Problem(
    code="restored",
    message="Redis came back as an older copy, so nobody knows if this take was submitted since; it is not sent again",
    family=Family.SERVER,
)


def with_restoration(run: Run, now: float) -> Run:
    """*run* with the mark; the same value if nothing more can be submitted for it."""
    if run.status in (RunStatus.SUCCEEDED, RunStatus.CANCELLED):
        return run
    since = run.updated_at if run.restored is None else min(run.updated_at, run.restored.since)
    return replace(run, restored=Restoration(at=now, since=since))


def is_in_doubt(run: Run, shot: Shot) -> bool:
    """
    Whether the next take of *shot* may have been submitted already, without this copy knowing.

    The takes of a shot are numbered in order: if one was given up, by a person or by time, no later one is in doubt.
    """
    if run.restored is None:
        return False
    return not any(take.submitted_at >= run.restored.at and _was_given_up(shot, take) for take in shot.takes)


def oldest(run: Run, take: Take) -> float:
    """The earliest start of a job that may be that of *take*, in seconds since 1970: the copy may be older than it."""
    return take.submitted_at if run.restored is None else min(take.submitted_at, run.restored.since)


def _was_given_up(shot: Shot, take: Take) -> bool:
    return not take.job_ids and (take.status is TakeStatus.EXPIRED or take.number <= shot.set_aside)
