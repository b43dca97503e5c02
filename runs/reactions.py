"""
What follows automatically from a failed take, as pure functions: how many new ones, and when with another prompt.

A refused request is never repeated unchanged. A prompt is refused every time; a clip that was refused may pass with
another seed, which the next take has; and if the storyboard gives another prompt for this case, it is used once.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from framerelay.runs.changes import with_input
from framerelay.runs.model import Family, Run, Shot, Take, TakeStatus

# A new take may help: moderation of the output is said to strike at random, and the other causes are nobody's fault.
WORTH_A_RETAKE: Final = frozenset({Family.VIDEO_MODERATED, Family.AUDIO_MODERATED, Family.SERVER, Family.EXPIRED})
MODERATED: Final = frozenset({Family.TEXT_MODERATED, Family.VIDEO_MODERATED, Family.AUDIO_MODERATED})


def retakes_due(run: Run, shot: Shot, takes: Sequence[Take]) -> int:
    """How many takes *shot* gets on top of those that are wanted, because of those of *takes* that failed."""
    other = [take for take in takes if not _has_other_input(shot, take)]
    limit = run.terms.retakes if shot.reaction is None or shot.reaction.retakes is None else shot.reaction.retakes
    return len(takes) - len(other) + min(sum(_is_worth_a_retake(shot, take) for take in other), limit)


def with_other_input(shot: Shot, takes: Sequence[Take]) -> Shot:
    """
    *shot* with its storyboard's alternative, if one of *takes* was refused; the same object otherwise.

    Its takes from the next number on are made from it; a submit that was prepared with the first input comes too late.
    This happens once: if that is refused as well, a person decides.
    """
    reaction = shot.reaction
    if reaction is None or reaction.since is not None or not any(_may_pass_with(shot, take) for take in takes):
        return shot
    since = max(take.number for take in shot.takes) + 1
    other = with_input(shot, {**shot.input, **reaction.moderated}, since)
    return replace(other, reaction=replace(reaction, since=since), turns=shot.turns + 1)


def _may_pass_with(shot: Shot, take: Take) -> bool:
    """Whether *take* was refused for something the storyboard has an alternative for: sound can be left out, too."""
    family = _family_of(take)
    substitute = shot.reaction.moderated if shot.reaction else {}
    return family in MODERATED and ("prompt" in substitute or (family is Family.AUDIO_MODERATED and bool(substitute)))


def _has_other_input(shot: Shot, take: Take) -> bool:
    """Whether its input has been replaced."""
    since = shot.reaction.since if shot.reaction else None
    return since is not None and take.number < since and _may_pass_with(shot, take)


def _is_worth_a_retake(shot: Shot, take: Take) -> bool:
    family = _family_of(take)
    if shot.reaction is not None:
        if shot.set_aside < (shot.reaction.since or 0) <= take.number and family in MODERATED:
            return False  # The replacement was refused as well.
        if shot.reaction.any_failure and family is Family.UNKNOWN:
            return True
    return family in WORTH_A_RETAKE


def _family_of(take: Take) -> Family | None:
    """Why it failed, if it did; a rendered take was paid for, and may still be fetched if a person says so."""
    ended = take.status in (TakeStatus.FAILED, TakeStatus.EXPIRED)
    return take.error.family if ended and take.error is not None and take.video_url is None else None
