"""The parameters and answers of the routes that change a run's storyboard; `api.operations` has the others."""

from collections.abc import Mapping
from typing import Final

from framerelay.api import shapes
from framerelay.api.access import Right
from framerelay.api.operation import BOARD, Operation, RouteAnswer

_NO_RUN: Final = {404: "There is no such run."}

AMEND_OPERATIONS: Final[Mapping[str, Operation]] = {
    "GET /v1/runs/{run}/storyboard": Operation(
        name="readStoryboard",
        about="The storyboard of a run as it is now",
        more="With its comments. Started again it is another run of the same shots.",
        right=Right.READ,
        parameters=("Accept",),
        answers={200: RouteAnswer(about="The storyboard.", kinds=("application/yaml", "application/json"))},
        refusals={
            **_NO_RUN,
            409: "Several ids begin with what was given; or a hook began the run with somebody else's job.",
        },
    ),
    "POST /v1/runs/{run}/amend": Operation(
        name="amendRun",
        about="Give a run another storyboard",
        more="Whole, as POST /v1/runs takes it. Shots that ask for what they asked for keep their takes, wherever they "
        "stand now; the others are made again, added or dropped. With dry_run=true it only says so.",
        right=Right.OPERATE,
        parameters=("dry_run", "revision", "Max-Jobs"),
        body=BOARD,
        answers={
            200: RouteAnswer(
                about="The run as it is afterwards; or what it would do.", shape=shapes.Run, other=shapes.AmendOutlook
            )
        },
        refusals={
            **_NO_RUN,
            409: "Nothing would change, the state does not allow it, or somebody acted in the meantime.",
            422: "The storyboard has mistakes, all of them in mistakes with their places; or a parameter is wrong.",
        },
    ),
}
