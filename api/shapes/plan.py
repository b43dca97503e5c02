"""What a storyboard would do, and the pictures that are given for one."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from framerelay.api.shapes.run import Budget, CostRange


class File(Struct, kw_only=True):
    """A picture that was given."""

    object: Literal["file"]
    name: Annotated[str, Meta(description="To be written as a frame in a storyboard.", pattern="^file:")]
    bytes: int


class Invitation(Struct, kw_only=True):
    """A link that begins a session of the page, once."""

    object: Literal["invitation"]
    url: Annotated[str, Meta(description="Below the receiver's own address; with next=/runs/… it leads there.")]
    expires: Annotated[int, Meta(description="Seconds since 1970, UTC.")]


class PlannedShot(Struct, kw_only=True):
    """A shot as it would be made."""

    id: str
    origin: Annotated[str, Meta(description="continue · bridge · cut · the id of an earlier shot, as written")] = field(
        name="from"
    )
    source: Annotated[str | None, Meta(description="The shot whose last frame it would begin with.")]
    gate: Annotated[str | None, Meta(description="approve: it would wait for a person before it is submitted.")]
    takes: Annotated[int, Meta(description="Jobs that it costs, if nothing fails.")]
    prompt: Annotated[str, Meta(description="As it would be sent, style included.")]
    provider: Annotated[str | UnsetType, Meta(description="Where it is not that of the settings.")] = UNSET
    model: Annotated[str | UnsetType, Meta(description="Where it is not the plan's.")] = UNSET
    cost: Annotated[CostRange | UnsetType, Meta(description="Of all its takes, where a price is known.")] = UNSET


class PlannedScene(Struct, kw_only=True):
    """Shots that hang on each other; scenes go side by side."""

    id: str
    shots: list[PlannedShot]


class Caution(Struct, kw_only=True):
    """Something that is allowed but may go wrong; docs/plan.md has all codes."""

    code: str
    place: Annotated[str, Meta(description="Where it can be fixed.", examples=["defaults.watermark"])]
    line: Annotated[int | None, Meta(description="Its line in the text that was sent.")]
    message: str


class Plan(Struct, kw_only=True):
    """What a storyboard would do and cost; nothing was spent or stored."""

    id: Annotated[str, Meta(description="Of exactly this storyboard.", pattern="^plan_[0-9a-f]{24}$")]
    object: Literal["plan"]
    title: str
    model: str
    pass_: Annotated[Literal["draft", "final"], Meta(description="draft: small and cheap, to be looked at.")] = field(
        name="pass", default="final"
    )
    jobs: Annotated[int, Meta(description="Submits, each of them paid, if nothing fails.")]
    budget: Budget
    cost: Annotated[CostRange | None, Meta(description="About how much; null where a price is not known.")] = None
    longest_chain: Annotated[int, Meta(description="Shots that are made one after another.")]
    scenes: list[PlannedScene]
    warnings: list[Caution]
