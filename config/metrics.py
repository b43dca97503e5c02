"""
What each process counts and times, whichever part does the work: one of each per process, just as there is one log.

`receiver.metrics` and `processors.health` show them, each together with what it knows itself; ``docs/api.md`` has the
table.
"""

import os
import platform
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

from framerelay.config.exposition import SLOW, Counter, Histogram, Measure, figure, gauge, labels_text, measure_lines

ACKNOWLEDGE: Final = Histogram("acknowledge_seconds", "From a callback that is here whole to its answer.")
HOP: Final = Histogram(
    "hop_seconds", "From a callback to the submit of the shot that begins with that clip.", bounds=SLOW
)
TASK: Final = Histogram("task_seconds", "How long tasks ran, by kind and outcome.", "task", "outcome", bounds=SLOW)
QUEUE_WAIT: Final = Histogram("queue_wait_seconds", "From when a task was due to its start.", "task")
PROVIDER: Final = Histogram(
    "provider_call_seconds", "Calls of a provider, by its profile.", "profile", "call", "outcome", bounds=SLOW
)
DOWNLOAD: Final = Histogram("download_seconds", "Fetching a clip, decoding beside it included.", "outcome", bounds=SLOW)
DOWNLOADED: Final = Counter("downloaded_bytes_total", "Bytes of clips that were fetched.")
DECODE: Final = Histogram("decode_seconds", "What the decoder of frames did, by kind of work.", "work", bounds=SLOW)
JOIN: Final = Histogram("join_seconds", "Joining the clips of a film.", "outcome", bounds=SLOW)
STORE: Final = Histogram(
    "store_seconds", "Putting a file into object storage, and getting one.", "call", "outcome", bounds=SLOW
)
REDIS: Final = Histogram("redis_seconds", "Round trips to Redis that wait for nothing else.")
NOTIFICATIONS: Final = Counter("notifications_total", "Tries to send a notification, by outcome.", "outcome")
JOBS: Final = Counter("jobs_submitted_total", "Jobs that a provider accepted: each costs money.", "provider")
COST: Final = Counter("cost_total", "Cost of jobs that are done, as known then.", "provider", "currency", "estimated")

ALL: Final[tuple[Measure, ...]] = (
    *(ACKNOWLEDGE, HOP, TASK, QUEUE_WAIT, PROVIDER, DOWNLOAD, DOWNLOADED, DECODE, JOIN, STORE, REDIS, NOTIFICATIONS),
    *(JOBS, COST),
)
_BEGAN: Final = time.time()


def of_this_process(*, disk_free_bytes: int | None) -> Iterator[str]:
    """The lines of everything that was counted, of this build, and of what this process and its disk have left."""
    yield from measure_lines(ALL)
    build = labels_text(("version", "python"), (build_version(), platform.python_version()))
    yield from gauge("build_info", "1, with what runs here.", {build: 1})
    yield from gauge("start_time_seconds", "When this process began, in seconds since 1970.", {"": round(_BEGAN, 3)})
    seconds = sum(os.times()[:2])
    yield from figure("cpu_seconds_total", "counter", "Time of a core that this process took.", {"": round(seconds, 2)})
    with suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        size = pages * os.sysconf("SC_PAGE_SIZE")
        yield from gauge("resident_memory_bytes", "Memory that this process holds, without its decoders.", {"": size})
    if disk_free_bytes is not None:
        yield from gauge("disk_free_bytes", "Free on the disk of the data folder.", {"": disk_free_bytes})


@cache
def build_version() -> str:
    """The version that is installed."""
    return version("framerelay")
