"""Making a final from a draft, as pure functions: what it is made from, and why not yet."""

from collections.abc import Sequence
from dataclasses import replace

from framerelay.runs.changes import input_of
from framerelay.runs.costs import Estimate
from framerelay.runs.model import Run, Shot, TakeStatus
from framerelay.runs.standing import picked_take
from framerelay.runs.text import join_names, number_of, range_words


def why_not_promoted(run: Run) -> str | None:
    """Why *run* cannot be promoted, in words for a person; None if it can."""
    if not run.is_draft:
        return "the run is not a draft: pass: draft in a storyboard makes one"
    for shot in run.story:
        take = picked_take(shot)
        if take is None or take.status is not TakeStatus.DONE:
            return f"shot {shot.name} of the draft is not settled yet; a draft is promoted when all its shots are done"
    return None


def final_shots(run: Run) -> tuple[Shot, ...]:
    """
    The shots of the final of *run*, which can be promoted: from the draft they take only prompts, seeds, and pictures
    that a person gave. Each begins with the last frame of the final before it.
    """
    return tuple(_final_of(run, shot) for shot in run.story)


def _final_of(run: Run, shot: Shot) -> Shot:
    """What its picked take was made from, with the size and length that the storyboard gives."""
    take = picked_take(shot)
    made_of = {**(input_of(shot, take.number) if take else shot.input), **(shot.final or {})}
    if take is not None and take.seed is not None:
        made_of["seed"] = take.seed
    reaction = shot.reaction
    if reaction is not None and reaction.since is not None:
        reaction = replace(reaction, moderated={}, since=None)  # It is the prompt now, or did not help.
    return Shot(
        id=shot.name,
        scene=shot.scene,
        origin=shot.origin,
        source=run.name_of(shot.source) if shot.source else None,
        input={name: value for name, value in made_of.items() if value is not None},
        provider=shot.provider,
        model=shot.model,
        extra=shot.extra,
        first_frame=shot.first_frame,
        last_frame=shot.last_frame,
        gated=shot.gated,
        reaction=reaction,
    )


def words_of_promotion(
    title: str, shots: Sequence[Shot], cost: Estimate | None, *, budget_jobs: int | None, budget_money: float | None
) -> str:
    """What making the final of *shots* would do, in a sentence for the person who pays."""
    price = number_of("job", len(shots))
    if cost is not None:
        price += f", {range_words(cost.low, cost.high, cost.currency)}"
    words = [f'the final of "{title}" is made, a run of its own, for {price}']
    gate_ids = [shot.id for shot in shots if shot.gated]
    if gate_ids:
        words.append(
            f"{join_names(gate_ids, 'and')} {'waits' if len(gate_ids) == 1 else 'wait'} for your approval first"
        )
    seedless = [shot.id for shot in shots if "seed" not in shot.input]
    if seedless:
        words.append(f"no seed is known for {join_names(seedless, 'and')}, so the same prompt may give another clip")
    short_of_money = budget_money is not None and cost is not None and cost.high > budget_money
    if (budget_jobs is not None and budget_jobs < len(shots)) or short_of_money:
        words.append("the budget is spent before all of it, and the run waits then")
    return "; ".join(words)
