"""Why a decision from the page was not carried out, for a person who sees the run in its current state."""

from collections.abc import Mapping
from typing import Final

from framerelay.runs.errors import Conflict, FrameRelayError
from framerelay.runs.model import Run, RunStatus

NOTHING_DONE: Final = "somebody acted in the meantime, so nothing was done; this is the state of the run now"


def refusal_words(error: FrameRelayError, form: Mapping[str, str], run: Run) -> str:
    """What prevents the decision in *form*, lower case; if another person decided the same, that."""
    if not isinstance(error, Conflict):
        return error.message
    shot = run.shot_by_name(form.get("shot", ""))
    match form.get("action"):
        case "approve" if shot is not None and shot.approved:
            return f"{shot.name} was approved already, by somebody else or in another tab"
        case "pick" if shot is not None and shot.picked is not None and str(shot.picked) != form.get("picked"):
            return f"take {shot.picked} of {shot.name} was picked already, by somebody else or in another tab"
        case "cancel" if run.status is RunStatus.CANCELLED:
            return "the run was cancelled already, by somebody else or in another tab"
    return NOTHING_DONE if _is_about_a_revision(error) else error.message


def _is_about_a_revision(error: Conflict) -> bool:
    return "revision" in error.message
