"""Lists for a person, one line per item: runs, callbacks, notifications."""

from collections.abc import Sequence
from datetime import datetime

from framerelay.api import shapes
from framerelay.languages.catalogs import joint, translate
from framerelay.languages.columns import ljust, rjust, width_of
from framerelay.languages.joints import join
from framerelay.runs.text import amount_words, duration, printable


def run_line(run: shapes.Run, *, now: float, shots_width: int = 11, cost_width: int = 0) -> str:
    """A run in one line: id, status, progress, age, cost, title; drafts are marked, as are runs that need a person."""
    status = ljust(translate(str(run.status)), 9)
    shots = rjust(_shots(run), shots_width)
    cost = f"{rjust(_cost(run), cost_width)}  " if cost_width else ""
    title = join(_marks(run), run.title)
    return printable(f"{run.id}  {status}  {shots}  {_ago(now - run.created)}  {cost}{title}")


def _ago(seconds: float) -> str:
    return rjust(translate(f"{duration(seconds)} ago"), 11)


def run_lines(runs: Sequence[shapes.Run], *, now: float) -> list[str]:
    """A line for each of *runs*; their cost is in a column, if any of them has a known cost."""
    shots = max((width_of(_shots(run)) for run in runs), default=0)
    cost = max((width_of(_cost(run)) for run in runs), default=0)
    return [run_line(run, now=now, shots_width=max(11, shots), cost_width=cost) for run in runs]


def _shots(run: shapes.Run) -> str:
    count = sum(shot.status == "done" for shot in run.shots)
    return translate(f"{count}/{len(run.shots)} shots")


def _cost(run: shapes.Run) -> str:
    amount = run.cost.spent + run.cost.reserved if run.cost else 0
    return translate(amount_words(amount, run.cost.currency)) if run.cost and amount else ""


def _marks(run: shapes.Run) -> str:
    draft = translate("(draft)") if run.pass_ == "draft" else ""  # noqa: S105  (no password)
    needs = translate("(needs you)") if run.needs else ""
    return "".join(f"{mark} " for mark in (needs, draft) if mark)


def callback_line(callback: shapes.Callback, *, now: float) -> str:
    """One callback: id, age, what it is, and which take or hook it is for."""
    again = translate(f", {callback.repeats} more times") if callback.repeats else ""
    what = callback.status or translate(callback.reason or "no status")
    return printable(
        f"{callback.id}  {_ago(now - callback.received)}  "
        f"{ljust(translate(callback.outcome), 11)} {ljust(what, 11)} {translate(_owner(callback))}{again}".rstrip()
    )


def _owner(callback: shapes.Callback) -> str:
    if callback.hook:
        return f"hook {callback.hook}, {callback.job_id}" if callback.job_id else f"hook {callback.hook}, no job"
    return f"{callback.run_id} {callback.shot_id} take {callback.take}" if callback.run_id else ""


def release_words(release: shapes.Release) -> str:
    """What became of a callback that was in quarantine."""
    if not release.released:
        return f"still held: {release.reason}"
    if release.repeated:
        return "released; the sender had tried again, so it was processed already"
    return f"released: {release.outcome}"


def notification_line(notification: shapes.Notification, *, now: float) -> str:
    """One notification: id, age, what it reports, to whom, and the result."""
    shot_id = f" {notification.shot_id}" if notification.shot_id else ""
    what = f"{notification.type:<14} {notification.run_id}{shot_id}"
    return printable(
        f"{notification.id}  {_ago(now - notification.created)}  {what}  {notification.host}{joint(': ')}"
        f"{translate(_outcome(notification))}"
    )


def _outcome(notification: shapes.Notification) -> str:
    tries = notification.deliveries
    last = tries[-1].outcome if tries else "not sent yet"
    again = f", {len(tries)} tries" if len(tries) > 1 else ""
    match notification.state:
        case "delivered":
            return f"delivered{again}"
        case "waiting":
            clock = f"{datetime.fromtimestamp(notification.next_try):%H:%M:%S}" if notification.next_try else "now"
            return f"{last}{again}; next at {clock}" if tries else last
        case "given_up":
            return f"given up: {last}{again}"
        case "gone":
            return f"{last}: it wants no more of this"
        case _:
            return f"{last}"
