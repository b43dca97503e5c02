"""
How much longer is a hop with files in object storage than with files in the data folder?

As in `hop`: from a callback to the next submit over a line of 50 Mbit/s to the provider, a clip of 720p and 5 s. The
two sides take turns. The storage is a real S3 server (SeaweedFS) on loopback, as one in the same data center: the frame
is put there before the next submit, the clip while the submit is sent.
"""

import json
import tempfile
import threading
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.callback_to_submit import relay_one_run
from benchmarks.hop import MBIT_S, HopTimes, add_hops, steps_of
from benchmarks.thin_provider import thin_provider
from framerelay.sandbox.clip import ClipOrder, render_clip
from tests.machines.object_storage import ObjectStorage, object_storage, program

ROUNDS = 3
HOPS = 6  # In each round, and one more that warms up.
TO_REACH = 1.15


async def measure(storage: ObjectStorage, folder: Path) -> dict[str, Any]:
    """Both sides, on one clip."""
    clip = folder / "clip.mp4"
    order = ClipOrder(number=1, prompt="bench", seed=1, width=1280, height=720, frames=121, bframes=3)
    render_clip(order, clip, last_frame_into=None, stop=threading.Event())
    sides = {"in_storage": (storage.environ, HopTimes()), "in_folder": ({}, HopTimes())}
    for turn in range(ROUNDS):
        for name, (environ, figures) in sides.items():
            place = folder / f"{name}{turn}"
            place.mkdir()
            async with thin_provider(MBIT_S, clip) as provider:
                await relay_one_run(provider.url, place, shots=HOPS + 2, more=environ)
                add_hops(figures, await provider.log(), clip)
    rows = {name: {**figures.as_json(), "steps_ms": steps_of(figures)} for name, (_, figures) in sides.items()}
    return {"question": "hop_in_storage", "mbit_s": MBIT_S, "clip_bytes": clip.stat().st_size, **rows}


def main() -> None:
    """One JSON line, one sentence."""
    if program() is None:
        raise SystemExit("there is no SeaweedFS here: make test-machines fetches it")
    with tempfile.TemporaryDirectory(prefix="fr-bench-") as name, object_storage(Path(name) / "weed") as storage:
        facts = uvloop.run(measure(storage, Path(name)))
    print(json.dumps(facts))
    there, here = facts["in_storage"], facts["in_folder"]
    print(
        f"Callback → next submit over {MBIT_S:g} Mbit/s: {there['ratio_to_wire']} times the wire time with object "
        f"storage ({there['median_ms']} ms), {here['ratio_to_wire']} times without ({here['median_ms']} ms); "
        f"to reach: {TO_REACH}."
    )


if __name__ == "__main__":
    main()
