"""What a person can do about each family of failure: written once, for the command, the page and assistants' tools."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from framerelay.api import shapes
from framerelay.runs.model import Family


class Remedy(StrEnum):
    """The decision that may help; each place that shows the advice adds how to make it there."""

    RESUME = "resume"
    RETAKE = "retake"
    PROMPT = "prompt"  # A retake with a different one.
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """*words*: a clause, lower case and without a period."""

    words: str
    remedy: Remedy = Remedy.RESUME


# The families that are not listed may pass on another try.
_BY_FAMILY: Final = {
    Family.ACCOUNT: Advice(
        words="correct the key (FRAMERELAY_UPSTREAM_KEY, or the variable that framerelay doctor names), the address of "
        "the provider or the account there, then resume, which has settings and keys read again"
    ),
    Family.QUOTA: Advice(words="it is used up at the provider; add to it there, then resume"),
    Family.TEXT_MODERATED: Advice(
        words="the same text is refused every time; retake the shot with another prompt", remedy=Remedy.PROMPT
    ),
    Family.IMAGE_MODERATED: Advice(
        words="the same picture is refused every time; give another one, or retake the shot before it",
        remedy=Remedy.NONE,
    ),
    Family.AUDIO_MODERATED: Advice(words="its sound was refused; a retake may pass", remedy=Remedy.RETAKE),
    Family.VIDEO_MODERATED: Advice(words="the clip was refused; another prompt or seed may pass", remedy=Remedy.PROMPT),
    Family.REQUEST_INVALID: Advice(words="correct the storyboard, then start it again", remedy=Remedy.NONE),
}
_ANY: Final = Advice(words="when the cause is fixed, resume")


def advice_on(problem: shapes.Problem | None) -> Advice:
    """What can be done about *problem*; None: nobody knows what it is."""
    return _BY_FAMILY.get(problem.family, _ANY) if problem else _ANY
