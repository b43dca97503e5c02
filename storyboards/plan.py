"""
What a storyboard would do and cost, as pure functions: its scenes, its jobs, its longest chain, and its warnings.

The checks are in `storyboards.cautions`; they warn, they never refuse.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

from framerelay.network.policy import TrustedHosts
from framerelay.runs.costs import Estimate, together
from framerelay.runs.model import Shot
from framerelay.storyboards.cautions import Caution, CautionCheck, cautions_of
from framerelay.storyboards.storyboard import Storyboard


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    A storyboard before any money is spent.

    ``id``: of exactly this storyboard; another one has another id. ``jobs``: submits if nothing fails, one per take;
    ``cost``: of all of them, None if a price is not known.
    ``longest_chain``: shots that are made one after another, which determines the run's duration.
    """

    id: str
    title: str
    model: str
    jobs: int
    budget_jobs: int | None
    budget_money: float | None
    currency: str | None
    cost: Estimate | None
    provider: str | None
    longest_chain: int
    shots: tuple[Shot, ...]
    cautions: tuple[Caution, ...]
    is_draft: bool = False

    def scenes(self) -> Iterator[tuple[str, tuple[Shot, ...]]]:
        """Each scene's id with its shots, in the order of the film."""
        for scene, shots in groupby(self.shots, key=lambda shot: shot.scene):
            yield scene, tuple(shots)


def plan_of(board: Storyboard, trusted_hosts: TrustedHosts | None = None, *, more: Sequence[CautionCheck] = ()) -> Plan:
    """What *board* leads to; the same storyboard always has the same id. *trusted_hosts* and *more* as in
    `cautions_of`."""
    jobs = sum(shot.takes_wanted for shot in board.shots)
    return Plan(
        id=plan_id(board),
        title=board.title,
        model=board.model,
        jobs=jobs,
        budget_jobs=board.budget_jobs,
        budget_money=board.budget_money,
        currency=board.currency,
        cost=together((shot.estimate, shot.takes_wanted) for shot in board.shots),
        provider=board.provider,
        longest_chain=_longest_chain(board.shots),
        shots=board.shots,
        is_draft=board.draft is not None,
        cautions=cautions_of(board, jobs=jobs, trusted_hosts=trusted_hosts, more=more),
    )


def plan_id(board: Storyboard) -> str:
    """
    The id of the plan of exactly *board*.

    It depends on the meaning: how it is written, as YAML or JSON, and in which order of keys, makes no difference.
    """
    shots = [
        [
            shot.id,
            shot.scene,
            shot.origin,
            shot.source,
            shot.input,
            shot.first_frame,
            shot.last_frame,
            shot.takes_wanted,
            shot.pick_first,
            shot.gated,
            *_source(shot),
            *([asdict(shot.reaction)] if shot.reaction else []),
        ]
        for shot in board.shots
    ]
    later = filter(None, (board.provider, board.budget_money, board.currency))
    whole = [board.title, board.model, board.budget_jobs, board.notify_url, shots, *later]
    return f"plan_{hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:24]}"


def _source(shot: Shot) -> list[object]:
    """Only if there is something to say: plans of earlier storyboards keep their ids."""
    choices: list[object] = [shot.provider, shot.model, shot.extra]
    return choices if any(choices) else []


def _longest_chain(shots: tuple[Shot, ...]) -> int:
    lengths: dict[str, int] = {}
    for shot in shots:
        lengths[shot.id] = lengths.get(shot.source or "", 0) + 1
    return max(lengths.values(), default=0)
