"""A run as lines on a screen: the same for `show`, for the live view, and for the end of a watch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.console import Console, OverflowMethod
from rich.text import Text

from framerelay.api import shapes
from framerelay.api.words import cost_words, share_done, shot_words
from framerelay.cli.outlook import Place, outlook
from framerelay.languages.catalogs import translate
from framerelay.languages.columns import HANGING, wrap
from framerelay.runs.text import duration, number_of, printable

MARKS: Final = {"done": "✓", "failed": "✗", "cancelled": "–", "waiting": "?", "pending": "·"}
STYLES: Final = {"done": "green", "failed": "red", "waiting": "yellow", "pending": "dim", "cancelled": "dim"}
BAR: Final = 12
# Questions for a person are shown at the shot, and in the line with the command to type.
_SAID_ANYWAY: Final = frozenset({"approval_needed", "pick_needed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureLine:
    """One line; a *whole* one is never cut, since it may have to be copied."""

    text: str
    style: str = ""
    whole: bool = False

    def rows(self, console: Console) -> list[str]:
        """Its text for *console*: on a terminal broken between words, continuations indented; elsewhere one line."""
        text = printable(self.text)
        if self.whole or not console.is_terminal or cell_len(text) <= console.width:
            return [text]
        lead = " " * (len(text) - len(text.lstrip()))
        rows = wrap(text.lstrip(), max(20, console.width - len(lead) - len(HANGING)))
        return [f"{lead}{HANGING if number else ''}{row}" for number, row in enumerate(rows)]

    def rich(self) -> Text:
        """The line for the live view."""
        overflow: OverflowMethod = "fold" if self.whole else "ellipsis"
        return Text(printable(self.text), self.style, no_wrap=not self.whole, overflow=overflow)


def live_lines(run: shapes.Run, *, now: float, rows: int) -> list[PictureLine]:
    """The run while it goes on, in about *rows* lines: of many shots those around the one under way."""
    ending = [_tally(run, now), *_outlook_lines(run, now, None)]
    room = max(3, rows - 2 - len(ending))
    shots = _around_active(run.shots, room)
    before, after = _count_hidden(run.shots, shots)
    return [_head(run), *before, *_shot_lines(run, shots, now, bars=True), *after, *ending]


def whole_lines(run: shapes.Run, *, now: float, place: Place | None = None) -> list[PictureLine]:
    """The current state of the run, and where its files are (left out without a *place*)."""
    return [_head(run), *_shot_lines(run, run.shots, now), _tally(run, now), *end_lines(run, now=now, place=place)]


def end_lines(run: shapes.Run, *, now: float, place: Place | None = None) -> Iterator[PictureLine]:
    """What a run waits for, why it failed, where its files are; a film's path is the last line."""
    if run.error and run.error.code not in _SAID_ANYWAY:
        yield PictureLine(text=translate(f"  {run.error.message}"), style="red" if run.status == "failed" else "yellow")
    for warning in run.warnings:
        yield PictureLine(text=translate(f"  {warning.message}"), style="yellow")
    yield from _outlook_lines(run, now, place)
    if run.film:
        film = run.film
        how = "copied without loss" if film.copied else f"encoded, since {film.reason}"
        yield PictureLine(text=translate(f"  joined: {film.duration_s:.2f} s, {film.bytes / 1e6:.1f} MB, {how}"))
    if place is None:
        return
    if folder := _folder(run, place):
        yield PictureLine(text=translate(f"  files: {folder}"), whole=True)
    if run.film:
        yield PictureLine(text=translate(f"film: {place(run.film.url)}"), whole=True)


def id_width(run: shapes.Run) -> int:
    """Columns for the ids of its shots."""
    return min(16, max(len(shot.id) for shot in run.shots))


def missed_words(run: shapes.Run) -> str:
    """``, 1 callback lost and found by polling``; empty if all arrived."""
    jobs = run.callbacks_missed
    return f", {jobs} callback{'s' * (jobs > 1)} lost and found by polling" if jobs else ""


def _head(run: shapes.Run) -> PictureLine:
    draft = f" · {translate('draft')}" if run.pass_ == "draft" else ""  # noqa: S105  (no password)
    return PictureLine(text=f"{run.id} · {run.title}{draft}", style="bold")


def _tally(run: shapes.Run, now: float) -> PictureLine:
    shots = f"{_done_count(run.shots)} of {len(run.shots)} shots"
    budget, number = run.budget.jobs, run.spent.jobs
    jobs = number_of("job", number) if budget is None else f"{number} of {number_of('job', budget)}"
    cost = f", {words}" if (words := cost_words(run)) else ""
    until = now if run.status in ("running", "waiting") else run.updated
    tally = f"{shots}, {jobs}{cost}, {duration(until - run.created)}{missed_words(run)}"
    text = translate(f"  {run.status}: {tally}")
    return PictureLine(
        text=text, style={"failed": "red", "waiting": "yellow", "succeeded": "green"}.get(run.status, "dim")
    )


def _shot_lines(
    run: shapes.Run, shots: Sequence[shapes.Shot], now: float, *, bars: bool = False
) -> Iterator[PictureLine]:
    width = id_width(run)
    for shot in shots:
        share = share_done(run, shot, now=now) if bars else None
        bar = f"  {'━' * round(BAR * share)}{'╌' * (BAR - round(BAR * share))}" if share is not None else ""
        words = translate(shot_words(run, shot, now=now))
        mark = MARKS.get(shot.status, "▸")
        yield PictureLine(text=f"  {mark} {shot.id:<{width}} {words}{bar}", style=STYLES.get(shot.status, "cyan"))


def _outlook_lines(run: shapes.Run, now: float, place: Place | None) -> list[PictureLine]:
    return [PictureLine(text=translate(f"  {line}"), whole=True) for line in outlook(run, now=now, place=place)]


def _around_active(shots: Sequence[shapes.Shot], room: int) -> Sequence[shapes.Shot]:
    """At most *room* shots, including two lines for those that are left out before and after."""
    if len(shots) <= room:
        return shots
    active = [index for index, shot in enumerate(shots) if shot.status not in ("done", "pending")]
    size = max(1, room - 2)
    first = max(0, min((active[0] if active else 0) - 1, len(shots) - size))
    return shots[first : first + size]


def _count_hidden(
    shots: Sequence[shapes.Shot], window: Sequence[shapes.Shot]
) -> tuple[list[PictureLine], list[PictureLine]]:
    """A line for the shots before those that are visible, and one for those after; none if there are none."""
    first = next((index for index, shot in enumerate(shots) if shot.id == window[0].id), 0)
    return _count("before", shots[:first]), _count("after", shots[first + len(window) :])


def _count(where: str, shots: Sequence[shapes.Shot]) -> list[PictureLine]:
    words = f"    … {len(shots)} {where}, {_done_count(shots) or 'none'} of them done"
    return [PictureLine(text=translate(words), style="dim")] if shots else []


def _done_count(shots: Sequence[shapes.Shot]) -> int:
    return sum(shot.status == "done" for shot in shots)


def _folder(run: shapes.Run, place: Place) -> str | None:
    """The folder of the run's files; every file of a run is in one."""
    urls = [take.video.url for shot in run.shots for take in shot.takes if take.video]
    return place(urls[0]).rpartition("/")[0] + "/" if urls else None
