"""
How the shots of an amended storyboard are matched with those of the run, as pure functions: they may have moved, and
have other ids.

What counts is what a shot asks for, and everything it is made from: only then can its takes be used.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

from framerelay.runs.content import chain_keys
from framerelay.runs.model import Run, Shot, Take, TakeStatus
from framerelay.runs.takes import OPEN


def matches(before: Run, target: Run, *, old_keys: Mapping[str, str], new_keys: Mapping[str, str]) -> list[Shot | None]:
    """
    For each shot of *target*, the shot of *before* that it corresponds to; None for a new one.

    The same content, made from the same sources, is preferred to the same content alone, that to the content of a take,
    and that to the same id. Among equals, the same id wins. *old_keys* · *new_keys*: of the content of their shots, by
    id.
    """
    if _look(before, old_keys) == _look(target, new_keys):  # An unchanged storyboard moves nothing.
        return list(before.story)
    match = _Match(target.shots)
    _Chains(before, target, old_keys=old_keys, new_keys=new_keys).claim(match)
    for shots in (before.story, before.archive):
        match.claim(shots, lambda shot: [old_keys[shot.id]], lambda shot: new_keys[shot.id])
    match.claim(before.shots, lambda shot: [take.key for take in shot.takes], lambda shot: new_keys[shot.id])
    match.claim(before.story, lambda shot: [shot.name], lambda shot: shot.id)
    return [match.partners.get(shot.id) for shot in target.shots]


def _look(run: Run, keys: Mapping[str, str]) -> list[Hashable]:
    return [(shot.name, keys[shot.id], shot.source and run.name_of(shot.source)) for shot in run.story]


class _Match:
    """Matches shots in passes of decreasing likeness; each shot is matched once."""

    def __init__(self, shots: Iterable[Shot]) -> None:
        self._shots = tuple(shots)
        self.taken_ids: set[str] = set()
        self.partners: dict[str, Shot] = {}

    def take(self, wanted_id: str, shot: Shot) -> None:
        """*shot* matches that one."""
        self.taken_ids.add(shot.id)
        self.partners[wanted_id] = shot

    def claim(
        self,
        shots: Iterable[Shot],
        marks: Callable[[Shot], Iterable[Hashable]],
        mark: Callable[[Shot], Hashable],
    ) -> None:
        """Shots that have the *mark* of a wanted one: those with the same name first, then in the order of both."""
        free = [(shot, list(marks(shot))) for shot in shots if shot.id not in self.taken_ids]
        self._pass(
            [(shot, (shot.name, each)) for shot, own in free for each in own], lambda shot: (shot.id, mark(shot))
        )
        self._pass([(shot, each) for shot, own in free for each in own], mark)

    def _pass(self, pairs: Iterable[tuple[Shot, Hashable]], mark: Callable[[Shot], Hashable]) -> None:
        rows: dict[Hashable, list[Shot]] = {}
        for shot, each in pairs:
            rows.setdefault(each, []).append(shot)
        queues: dict[Hashable, Iterator[Shot]] = {each: iter(row) for each, row in rows.items()}
        for new in self._shots:
            if new.id in self.partners:
                continue
            free = (shot for shot in queues.get(mark(new), iter(())) if shot.id not in self.taken_ids)
            if (match := next(free, None)) is not None:
                self.take(new.id, match)


class _Chains:
    """
    Whole chains of shots that are made from each other, the longest first: of two identical shots, the one whose
    dependents are wanted, too, is matched. Shots with takes come before those without.
    """

    def __init__(self, before: Run, target: Run, *, old_keys: Mapping[str, str], new_keys: Mapping[str, str]) -> None:
        self._shots = {shot.id: shot for shot in before.shots}
        self._old_sources = {shot.id: _source_of(shot) for shot in before.shots}
        self._new_sources = {shot.id: shot.source for shot in target.shots}
        self._new_chains = chain_keys(new_keys, self._new_sources)
        old_chains = chain_keys(old_keys, self._old_sources)
        self._rows: dict[str, deque[Shot]] = {}
        self._by_name: dict[tuple[str, str], Shot] = {}
        # A shot that now asks for something else, in a retake, was part of a chain with what its takes were asked for.
        earlier_chains = chain_keys(_keys_of_takes(before, old_keys), self._old_sources)
        for chains in (old_chains, earlier_chains):
            for shot in sorted(before.shots, key=lambda shot: (_take_of(shot) is None, shot.dropped)):
                if chains is old_chains or chains[shot.id] != old_chains[shot.id]:
                    self._rows.setdefault(chains[shot.id], deque()).append(shot)
                    self._by_name.setdefault((chains[shot.id], shot.name), shot)

    def claim(self, match: _Match) -> None:
        """Each match, with everything it is made from."""
        lengths: dict[str | None, int] = {None: 0}
        for each, source in self._new_sources.items():
            lengths[each] = lengths[source] + 1
        for each in sorted(self._new_sources, key=lambda each: -lengths[each]):
            if each not in match.partners:
                for one, shot in self._best(match, each).items():
                    match.take(one, shot)

    def _best(self, match: _Match, wanted_id: str) -> dict[str, Shot]:
        """Which shots match that one and those that it is made from; empty if none do."""
        chain = self._new_chains[wanted_id]
        row = self._rows.get(chain, deque())
        while row and row[0].id in match.taken_ids:
            row.popleft()
        namesake = self._by_name.get((chain, wanted_id))
        first = [namesake] if row and namesake and (_take_of(namesake) is None) == (_take_of(row[0]) is None) else []
        paths = (self._path(match, wanted_id, shot) for shot in (*first, *row))
        return next(filter(None, paths), {})

    def _path(self, match: _Match, wanted_id: str, shot: Shot) -> dict[str, Shot]:
        """*shot* and its sources, matched with that one and its sources, as far as they have no match yet."""
        path: dict[str, Shot] = {}
        new: str | None = wanted_id
        old: str | None = shot.id
        while new is not None and old is not None:
            partner = match.partners.get(new)
            if partner is not None or old in match.taken_ids:
                return path if partner is not None and partner.id == old else {}
            path[new] = self._shots[old]
            new, old = self._new_sources[new], self._old_sources[old]
        return path


def _source_of(shot: Shot) -> str | None:
    """What it begins with; for a dropped shot, what its take began with."""
    take = _take_of(shot)
    return take.source if shot.dropped and take else shot.source


def _keys_of_takes(run: Run, keys: Mapping[str, str]) -> dict[str, str]:
    """For each shot, what its take was asked for; *keys*: what the shot asks for, if it has no take."""
    takes = ((shot.id, _take_of(shot)) for shot in run.shots)
    return {shot_id: take.key if take and take.key else keys[shot_id] for shot_id, take in takes}


def _take_of(shot: Shot) -> Take | None:
    """The take that it continues with, or may."""
    takes = [take for take in shot.takes if take.status is TakeStatus.DONE or take.status in OPEN]
    return next((take for take in takes if take.number == shot.picked), takes[-1] if takes else None)
