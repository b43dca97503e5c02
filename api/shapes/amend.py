"""What an amendment would do."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from framerelay.api.shapes.run import CostRange


class AmendOutlook(Struct, kw_only=True):
    """What another storyboard would make of a run; nothing has happened. Each shot is in one of the lists."""

    object: Literal["outlook"]
    keep: Annotated[list[str], Meta(description="Shots that stay as they are, with their takes.")]
    change: Annotated[list[str], Meta(description="Shots that are asked for something else, and made for it.")]
    add: Annotated[list[str], Meta(description="Shots that are new.")]
    drop: Annotated[list[str], Meta(description="Shots that leave the film; their takes are kept.")]
    stale: Annotated[list[str], Meta(description="Shots that are made again, since what they begin with is.")]
    jobs: Annotated[int, Meta(description="How many are submitted from then on to the end of the film, all paid.")]
    cost: Annotated[CostRange | None, Meta(description="Of these jobs; null where a price is not known.")]
    would: Annotated[str, Meta(description="In words for a person.")]
