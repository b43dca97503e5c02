"""What a conversion leaves behind: a film makes one for each of its frames, in the memory that a job may have."""

import gc
import time
from pathlib import Path

import av
import pytest

from framerelay.media.child.cage import IS_LINUX
from framerelay.media.child.color import Tags, to_rgb


def test_a_frame_is_released_once_it_was_read() -> None:
    """Without garbage being collected: its pixels would stay until somebody does."""
    gc.collect()
    gc.disable()
    try:
        before = frames_in_memory()
        for _ in range(20):
            to_rgb(av.VideoFrame(16, 16, "yuv420p"), Tags(sited=True))
        assert before == frames_in_memory()
    finally:
        gc.enable()


@pytest.mark.skipif(not IS_LINUX, reason="elsewhere nobody says which threads there are")
@pytest.mark.parametrize("layout", ["yuv420p", "gray"])
def test_the_threads_of_a_conversion_end_before_their_frame_does(layout: str) -> None:
    """A decoder and an encoder hold a dozen frames, and a thread maps eight megabytes."""
    before = threads()
    frames = [av.VideoFrame(64, 64, layout) for _ in range(12)]

    for frame in frames:
        to_rgb(frame, Tags(sited=True))

    # Linux lists a thread for a moment after it was joined; those of others may end meanwhile.
    deadline = time.monotonic() + 30
    while not threads() <= before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threads() <= before


def frames_in_memory() -> int:
    """How many frames nobody has let go of, or that wait for the collector."""
    return sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects())


def threads() -> set[str]:
    """Those of this process, by their numbers."""
    return {task.name for task in Path("/proc/self/task").iterdir()}
