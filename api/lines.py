"""What is listed, one line each, for a person: runs, callbacks, notifications."""

from collections.abc import Sequence
from datetime import datetime

from framerelay.api import shapes
from framerelay.runs.text import amount_words, duration, printable


def run_line(run: shapes.Run, *, now: float, cost_width: int = 0) -> str:
    """A run in one line: id, status, how far, age, cost, title; a draft says so, and one that needs a person."""
    count = sum(shot.status == "done" for shot in run.shots)
    age = duration(now - run.created)
    shots = f"{count}/{len(run.shots)} shots"
    cost = f"{_cost(run):>{cost_width}}  " if cost_width else ""
    return printable(f"{run.id}  {run.status:<9}  {shots:>11}  {age:>7} ago  {cost}{_marks(run)}{run.title}")


def run_lines(runs: Sequence[shapes.Run], *, now: float) -> list[str]:
    """A line for each of *runs*; what they cost stands in a column, if any of them cost anything known."""
    width = max((len(_cost(run)) for run in runs), default=0)
    return [run_line(run, now=now, cost_width=width) for run in runs]


def _cost(run: shapes.Run) -> str:
    spent = run.cost.spent + run.cost.reserved if run.cost else 0
    return amount_words(spent, run.cost.currency) if run.cost and spent else ""


def _marks(run: shapes.Run) -> str:
    draft = "(draft) " if run.pass_ == "draft" else ""  # noqa: S105  (no password)
    return f"{'(needs you) ' if run.needs else ''}{draft}"


def callback_line(callback: shapes.Callback, *, now: float) -> str:
    """One callback: id, age, what it is, whose."""
    age = duration(now - callback.received)
    again = f", {callback.repeats} more times" if callback.repeats else ""
    what = callback.status or callback.reason or "no status"
    return printable(
        f"{callback.id}  {age:>7} ago  {callback.outcome:<11} {what:<11} {_owner(callback)}{again}".rstrip()
    )


def _owner(callback: shapes.Callback) -> str:
    if callback.hook:
        return f"hook {callback.hook}, {callback.job_id or 'no job'}"
    return f"{callback.run_id} {callback.shot_id} take {callback.take}" if callback.run_id else ""


def release_words(release: shapes.Release) -> str:
    """What became of a callback that was in quarantine."""
    if not release.released:
        return f"still held: {release.reason}"
    if release.repeated:
        return "released; the sender had tried again, so it was processed already"
    return f"released: {release.outcome}"


def notification_line(notification: shapes.Notification, *, now: float) -> str:
    """One notification: id, age, what it tells, to whom, and what came of it."""
    age = duration(now - notification.created)
    shot_id = f" {notification.shot_id}" if notification.shot_id else ""
    what = f"{notification.type:<14} {notification.run_id}{shot_id}"
    return printable(f"{notification.id}  {age:>7} ago  {what}  {notification.host}: {_outcome(notification)}")


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
