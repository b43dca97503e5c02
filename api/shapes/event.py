"""One change of a run, as in its stream of events."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from framerelay.api.shapes.fields import Seconds
from framerelay.runs.wire_names import WIRE_NAMES


class Event(Struct, kw_only=True, rename=WIRE_NAMES):
    """The data of one server-sent event: a change of a run, with ids and no addresses."""

    event: Annotated[str, Meta(description="started, submitting, submitted, rendered, collected, …")]
    at: Seconds
    revision: int
    status: Annotated[str, Meta(description="The run's then; where a job ended, how that did.")]
    shot_id: str | UnsetType = UNSET
    made_as: Annotated[
        str | UnsetType, Meta(description="The id that the shot came with, where an amendment gave it another one.")
    ] = UNSET
    take: int | UnsetType = UNSET
    job_id: str | UnsetType = UNSET
    word: Annotated[str | UnsetType, Meta(description="The provider's own word.")] = UNSET
    seed: int | UnsetType = UNSET
    until: Annotated[float | UnsetType, Meta(description="It was put off until then.")] = UNSET
    first_frame: Annotated[str | UnsetType, Meta(description="Where the first frame came from.")] = UNSET
    seam: Annotated[float | UnsetType, Meta(description="How far the clip's opening is from what was handed on.")] = (
        UNSET
    )
    following: Annotated[bool | UnsetType, Meta(description="With all that is made from it.")] = UNSET
    changed: Annotated[list[str] | UnsetType, Meta(description="The input fields that a person changed.")] = UNSET
    budget_jobs: Annotated[int | UnsetType, Meta(description="The whole limit, as a person gave it.")] = UNSET
    budget_money: Annotated[float | UnsetType, Meta(description="Likewise, in units of the run's currency.")] = UNSET
    problem: Annotated[dict[str, str] | UnsetType, Meta(description="Its code and message.")] = UNSET
