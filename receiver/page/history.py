"""What happened to one shot, in words: its events, and the callbacks about it as they came."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from framerelay.api import shapes
from framerelay.api.views import callback_view
from framerelay.api.words import FRAMES
from framerelay.receiver.state import State
from framerelay.runs.model import Run, Shot
from framerelay.runs.text import clause
from framerelay.store.runs import LoggedEvent

PAGES_MAX: Final = 4  # Of 500 events: all that a run keeps.
LATE_S: Final = 3600.0
CALLBACKS_MAX: Final = 500

_WORDS: Final = {
    "submitting": "is submitted",
    "submitted": "was accepted by the provider",
    "submit_refused": "was refused by the provider; nothing was paid",
    "submit_put_off": "was put off before anything was accepted",
    "submit_lost": "was submitted, and nobody knows if it was accepted; it is held, not sent again",
    "preparation_failed": "could not be prepared; nothing was submitted",
    "place_wanted": "waits for a free place: its provider has as many jobs as it takes",
    "place_freed": "is next: its provider has a free place",
    "job_not_found": "was looked for at the provider by our reference, and is not there (yet)",
    "job_seen": "was looked up: the job is not finished",
    "rendered": "is rendered: its clip can be fetched",
    "job_ended": "ended without a clip",
    "called_back": "was called back about",
    "poll_failed": "could not be looked up",
    "looked_in_vain": "could not be looked up",  # Its name until 0.2, in the histories of older runs.
    "second_job_found": "has a second job at the provider: it was paid for twice, and both clips are kept",
    "collected": "is on our disk, with its last frame",
    "clip_kept": "is in object storage",
    "keep_put_off": "is not in object storage yet: that does not take it",
    "clip_lost": "was on the disk of a worker that is gone: it is fetched again",
    "collect_put_off": "could not be fetched this time",
    "collect_failed": "cannot be used",
    "elapsed": "came to a deadline",
    "approved": "was approved by a person",
    "picked": "was picked by a person",
    "adopted": "was given a job by a person",
    "retaken": "is to be made again, as a person asked",
    "opening_taken": "shows how it begins: its first frame is kept, its seam measured",
}
_DETAILS: Final = {"job_id": "", "word": "the provider says", "seed": "seed", "first_frame": "first frame:"}
_TROUBLE: Final = frozenset({"submit_refused", "submit_lost", "preparation_failed", "job_ended", "collect_failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One thing that happened; *callback*: as the API shows it, if it is one. ``why``: what went wrong."""

    at: float
    words: str
    why: str = ""
    details: Sequence[tuple[str, str]] = ()
    trouble: bool = False
    callback: shapes.Callback | None = None


async def moments_of(state: State, run: Run, shot: Shot) -> list[Moment]:
    """Everything about *shot*, oldest first. Raises: StoreUnavailable."""
    events = [_event(each.fields) for each in await _history(state, run.id) if _id_of(each.fields) == shot.id]
    callbacks = [_callback(each) for each in await _callbacks(state, run, shot)]
    return sorted([*events, *callbacks], key=lambda moment: moment.at)


def _id_of(fields: Mapping[str, Any]) -> object:
    """The shot that it is about, by the id that never changes."""
    return fields.get("made_as", fields.get("shot"))


async def _history(state: State, run_id: str) -> list[LoggedEvent]:
    events: list[LoggedEvent] = []
    for _ in range(PAGES_MAX):
        more = await state.history.history(run_id, after=events[-1].id if events else "0")
        events += more
        if not more:
            break
    return events


async def _callbacks(state: State, run: Run, shot: Shot) -> Iterable[shapes.Callback]:
    """
    Those that arrived while a take of it was under way, or up to an hour later.

    Callbacks are not stored by run: those of that time are searched, as many as a page can take.
    """
    if not shot.takes:
        return []
    since = min(take.submitted_at for take in shot.takes)
    until = max(take.rendered_at or take.ended_at or run.updated_at for take in shot.takes) + LATE_S
    callbacks = await state.inbox.between(since, until, at_most=CALLBACKS_MAX)
    ours = [each for each in callbacks if (each.run_id, each.shot_id) == (run.id, shot.id)]
    return [callback_view(each, secrets=state.secrets) for each in ours]


def _event(fields: Mapping[str, Any]) -> Moment:
    name = str(fields["event"])
    take = f"Take {fields['take']} " if "take" in fields else "The shot "
    problem = fields.get("problem") or {}
    details = [_detail(name, str(fields[name])) for name in _DETAILS if name in fields]
    why = f"{clause(problem['message'])} ({problem['code']})" if problem else ""
    words = f"{take}{_WORDS.get(name, name.replace('_', ' '))}"
    return Moment(at=fields["at"], words=words, why=why, details=details, trouble=name in _TROUBLE)


def _detail(name: str, value: str) -> tuple[str, str]:
    """What it is and what it says; the frame that was handed on is not described further."""
    return (FRAMES[value], "") if name == "first_frame" and value in FRAMES else (_DETAILS[name], value)


def _callback(callback: shapes.Callback) -> Moment:
    words = "A callback came" if callback.outcome == "accepted" else f"A callback came: {callback.outcome}"
    again = f", and again {callback.repeats} times" if callback.repeats else ""
    pairs = (("says", callback.status), ("", callback.job_id), ("", callback.reason))
    details = [(name, str(value)) for name, value in pairs if value]
    return Moment(at=callback.received, words=words + again, details=details, callback=callback)
