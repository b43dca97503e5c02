"""Our files that this worker does not see: another machine may, so the work goes back to all before it fails."""

import socket
from typing import Final

import structlog

from framerelay.processors.deps import Deps
from framerelay.processors.waits import retry_wait_s
from framerelay.runs.errors import FrameRelayError, NotFound

LOOKS_MAX: Final = 6  # Some half a minute in total: a network disk may show a new file that late.
LOOKED_S: Final = 600  # How long we remember where it was looked for.

log = structlog.get_logger()


async def look_again_s(deps: Deps, error: FrameRelayError, run_id: str, wanted_by: str) -> float | None:
    """
    Seconds until work that failed because of *error* is retried, by whichever worker is then free.

    None: it is not a missing file, there is no other worker, or all have looked. *wanted_by*: a shot, or the film.
    """
    if not isinstance(error, NotFound) or not await deps.has_company():
        return None
    for turn in range(LOOKS_MAX):
        if await deps.store.is_first_use(f"looked-for:{run_id}:{wanted_by}:{turn}", life_s=LOOKED_S):
            log.warning("file_missing", reason=error.message, host=socket.gethostname(), folder=deps.media.name)
            return retry_wait_s(turn)
    return None
