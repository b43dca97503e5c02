"""
Giving a run another storyboard, as pure functions: what is kept, made again, added and dropped.

    change = change_of(run, wanted, now)     shot by shot, and the run after it
    words = why_no_change(run, wanted, now)  why not, for the person

A shot is identified by what it asks for (`runs.content`), so it may move and have another id. A shot that asks for
something else, or begins with a frame that is no longer handed on, is made again, and its takes become spare. They are
used again when what they were asked for is wanted again.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from framerelay.runs import events
from framerelay.runs.changes import coming_numbers
from framerelay.runs.content import as_written, content_key, content_keys
from framerelay.runs.earlier_input import EarlierInput
from framerelay.runs.matches import matches
from framerelay.runs.model import Run, Shot, Take, TakeStatus
from framerelay.runs.outlook import take_behind
from framerelay.runs.standing import is_complete, picked_take, reset_film, takes_in_play
from framerelay.runs.takes import OPEN
from framerelay.runs.text import join_names

SHOTS_KEPT_MAX: Final = 2_000  # Per run, including those that were dropped.
ID_CHARS_MAX: Final = 40


@dataclass(slots=True, kw_only=True)
class Change:
    """
    What an amendment does to a run. The lists name shots as a person calls them; each shot is in one of them.

    ``run``: the run after it, with statuses still to be settled; the same object if nothing changes. ``keep``: nothing
    is made again. ``change``: asks for something else, or begins with another shot's frame. ``stale``: made again
    because the shot it begins with is.
    """

    run: Run
    keep: list[str] = field(default_factory=list)
    change: list[str] = field(default_factory=list)
    add: list[str] = field(default_factory=list)
    drop: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)


def apply_amendment(run: Run, event: events.Amended, now: float) -> Run:
    """*run* as its new storyboard wants it; the same object if `why_no_change` has an answer."""
    return run if _refusal(run, event.target) else change_of(run, event.target, now).run


def why_no_change(run: Run, target: Run, now: float) -> str | None:
    """Why *run* cannot become like *target*, or already is, in words for a person; None if it can."""
    if words := _refusal(run, target):
        return words
    return "the run is what this storyboard says already" if change_of(run, target, now).run is run else None


def _refusal(run: Run, target: Run) -> str | None:
    if run.cancelled:
        return "the run was cancelled; start it again"
    if run.hook is not None:
        return f"the run began at the hook {run.hook}, with a job of somebody else: only its hook's storyboard is yours"
    if words := _why_not_that_money(run, target):
        return words
    if len(run.shots) + len(target.shots) > SHOTS_KEPT_MAX:
        return f"the run keeps {len(run.shots)} shots, with those that were dropped: start another one"
    return None


def _why_not_that_money(run: Run, target: Run) -> str | None:
    """Money in a different currency from what was spent cannot be added to it."""
    if target.budget_money is None:
        return None
    currencies = {take.cost.currency for shot in run.shots for take in shot.takes if take.cost}
    others = {target.currency or next((shot.estimate.currency for shot in target.shots if shot.estimate), None)}
    if currencies <= others:
        return None
    return (
        f"the run has spent {join_names(sorted(currencies), 'and')}, which a budget of another currency does not count"
    )


def change_of(run: Run, target: Run, now: float) -> Change:
    """
    What becomes of *run* if it is to match *target*, a new run of another storyboard.

    Whatever is under way is followed to its end, and what was spent stays spent.
    """
    before = _with_earlier_keys(run)
    change = Change(run=run)
    shots = _Amendment(before, target, change, now).shots()
    after = replace(
        before,
        title=target.title,
        model=target.model,
        provider=target.provider,
        budget_jobs=target.budget_jobs,
        budget_money=target.budget_money,
        currency=target.currency,
        notify_url=target.notify_url,
        labels=target.labels,
        is_draft=target.is_draft,
        untold=before.untold if target.notify_url == before.notify_url else None,
        shots=shots,
    )
    if after != before:
        change.run = reset_film(after) if _is_another_film(before, after) else after
    return change


def _is_another_film(before: Run, after: Run) -> bool:
    """Whether the existing film, or the one being joined, has different clips or has them in another order."""
    if before.film is None and not is_complete(before):
        return False
    old, new = ([(shot.id, shot.picked) for shot in run.story] for run in (before, after))
    return old != new


def _with_earlier_keys(run: Run) -> Run:
    """*run* with what the takes of early versions were asked for, as far as that is known: as their shots are now."""
    return replace(run, shots=tuple(_with_earlier_key(run, shot) for shot in run.shots))


def _with_earlier_key(run: Run, shot: Shot) -> Shot:
    if all(take.key is not None for take in shot.takes):
        return shot
    key, numbers = content_key(run, shot), {take.number for take in takes_in_play(shot)} | {shot.picked}
    takes = tuple(
        replace(take, key=key, source=shot.source) if take.key is None and take.number in numbers else take
        for take in shot.takes
    )
    return replace(shot, takes=takes)


class _Amendment:
    """The shots of a run that is being amended, one after the other, in the order of the film."""

    def __init__(self, before: Run, target: Run, change: Change, now: float) -> None:
        self._before, self._target, self._change, self._now = before, target, change, now
        self._old_keys = {shot.id: content_key(before, as_written(shot)) for shot in before.shots}
        self._new_keys = {shot.id: content_key(target, shot) for shot in target.shots}
        self._ids = {shot.id.lower() for shot in before.shots}
        self._new_shots: dict[
            str, Shot
        ] = {}  # By the id that a person gives them; a source comes before its dependents.
        self._moved_ids: set[str] = set()  # Shots that hand on a different frame than before, or none yet.

    def shots(self) -> tuple[Shot, ...]:
        old_shots = matches(self._before, self._target, old_keys=self._old_keys, new_keys=self._new_keys)
        pairs = list(zip(self._target.shots, old_shots, strict=True))
        story = [self._add(new) if old is None else self._carry_over(old, new) for new, old in pairs]
        story_ids = {shot.id for shot in story}
        return (*story, *(self._drop(shot) for shot in self._before.shots if shot.id not in story_ids))

    def _add(self, new: Shot) -> Shot:
        self._change.add.append(new.id)
        names = (new.id, *(f"{new.id[: ID_CHARS_MAX - 4]}-{number}" for number in range(2, 1000)))
        shot_id = next(name for name in names if name.lower() not in self._ids)
        self._ids.add(shot_id.lower())
        return self._place(replace(new, id=shot_id, source=self._source_of(new)), new)

    def _drop(self, shot: Shot) -> Shot:
        """It no longer begins with another shot's frame, and the run no longer says whose frame it was."""
        if shot.dropped:
            return shot
        self._change.drop.append(shot.name)
        provider, model = self._before.provider_of(shot), self._before.model_of(shot)
        return replace(
            shot,
            dropped=True,
            source=None,
            provider=provider,
            model=model,
            held_by=None,
            error=None,
            approved=False,
            following=None,
        )

    def _carry_over(self, old: Shot, new: Shot) -> Shot:
        """*old* as it continues in the place of *new*."""
        source = self._source_of(new)
        original = as_written(old)
        is_same = self._old_keys[old.id] == self._new_keys[new.id] and (
            original is old or original.reaction == new.reaction
        )
        shot = replace(
            new,
            id=old.id,
            source=source,
            input=old.input if is_same else new.input,
            reaction=old.reaction if is_same and original is not old else new.reaction,
            earlier=old.earlier,
            following=old.following,
            estimate=old.estimate if is_same and old.estimate is not None else new.estimate,
            takes_wanted=old.takes_wanted if is_same and old.set_aside else new.takes_wanted,
            approved=old.approved,
            picked=old.picked,
            due_at=old.due_at,
            turns=old.turns,
            held_by=old.held_by,
            error=old.error,
            set_aside=old.set_aside,
            seed_at=old.seed_at,
            takes=old.takes,
            status=old.status,
        )
        if is_same and not old.dropped and old.source == source and source not in self._moved_ids:
            self._change.keep.append(new.id)
            return self._place(shot, new)
        return self._place(self._begin_again(shot, old, new, is_same=is_same and old.source == source), new)

    def _begin_again(self, shot: Shot, old: Shot, new: Shot, *, is_same: bool) -> Shot:
        """It asks for different takes than those it continues with, or these begin with another frame."""
        keys = self._keys_of(old, new)
        serving = [take.number for take in shot.takes if self._serves(shot, take, new, keys)]
        shot = replace(shot, due_at=self._now, turns=shot.turns + 1, held_by=None, following=None)
        if shot.takes and shot.input != old.input:
            last = max(take.number for take in shot.takes)
            shot = replace(shot, earlier=(*old.earlier, EarlierInput(until=last, input=old.input)))
        is_unmade = is_same and not old.dropped and shot.picked is None and not takes_in_play(old)
        if old.dropped:
            self._change.add.append(new.id)
        elif serving or is_unmade:
            self._change.keep.append(new.id)
        else:
            (self._change.stale if is_same else self._change.change).append(new.id)
        if is_unmade and not serving:
            again = shot
        else:
            again = _with_takes(replace(shot, error=None), serving, takes_wanted=new.takes_wanted)
        if again.picked != old.picked or again.picked is None:
            self._moved_ids.add(shot.id)
        return again

    def _serves(self, shot: Shot, take: Take, new: Shot, keys: set[str]) -> bool:
        """Whether *take* is one that *shot* would ask for now: the same content, begun with the same frame."""
        is_alive = take.status is TakeStatus.DONE or take.status in OPEN
        if not is_alive or take.key not in keys:
            return False
        if shot.source is None or take.source != shot.source:
            return take.source == shot.source
        source = self._new_shots[new.source or ""]
        first, now = take.first_frame, picked_take(source)
        return first is not None and now is not None and take_behind(source, first) == now.number

    def _keys_of(self, old: Shot, new: Shot) -> set[str]:
        """The takes that *new* would ask for, including with its replacement input if the original was refused."""
        original = as_written(old)
        is_refused = original is not old and original.reaction == new.reaction
        new_key = self._new_keys[new.id]
        return content_keys(self._target, new) if is_refused and self._old_keys[old.id] == new_key else {new_key}

    def _source_of(self, new: Shot) -> str | None:
        return None if new.source is None else self._new_shots[new.source].id

    def _place(self, shot: Shot, new: Shot) -> Shot:
        shot = replace(shot, alias=None if shot.id == new.id else new.id, dropped=False)
        self._new_shots[new.id] = shot
        return shot


def _with_takes(shot: Shot, serving: list[int], *, takes_wanted: int) -> Shot:
    """
    *shot* with only the takes *serving*; if there are none, it is made again and asks for its approval again.

    *takes_wanted*: from its storyboard, unless takes that a person moved on from are left behind.
    """
    takes = tuple(replace(take, spare=take.number not in serving) for take in shot.takes)
    if not serving:
        first = next(coming_numbers(shot))
        return replace(shot, takes=takes, picked=None, approved=False, seed_at=first, takes_wanted=takes_wanted)
    set_aside = min(shot.set_aside, serving[0] - 1)
    shot = replace(shot, set_aside=set_aside, takes_wanted=shot.takes_wanted if set_aside else takes_wanted)
    done_numbers = [take.number for take in takes if take.number in serving and take.status is TakeStatus.DONE]
    own = done_numbers[-1] if done_numbers and (shot.takes_wanted == 1 or shot.pick_first) else None
    return replace(
        shot,
        takes=takes,
        picked=shot.picked if shot.picked in serving else own,
        seed_at=serving[0],
    )
