"""A worker that is killed while its film goes into the storage in parts: the film is made again, and paid for once."""

import asyncio
import re
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import obstore
import pytest
from PIL import Image

from framerelay.sandbox.clip import ClipOrder
from tests.machines.object_storage import BUCKET, ObjectStorage
from tests.machines.servers import Forwarder
from tests.machines.studio import OpenStudio

pytestmark = pytest.mark.anyio

FILM: dict[str, Any] = {
    "title": "Half",
    "model": "vendor/any-model",
    "defaults": {"resolution": "480p", "duration": 5},
    "shots": [{"id": f"s{number}", "prompt": f"noise of half a film, {number}"} for number in range(1, 3)],
}
WIDTH, HEIGHT, FRAMES = 640, 360, 18
PART_BYTES = 5 << 20  # No file is larger than that.
PART = re.compile(rb"PUT \S*/film\S*[?&]partNumber=(\d+)")


@dataclass
class Narrow(Forwarder):
    """A way to the storage on which the first part of a film arrives, and nothing of the others."""

    closes: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aexit__(self, *details: object) -> None:
        self.closes.set()
        await super().__aexit__(*details)

    async def passes(self, piece: bytes) -> None:
        """Each request begins a piece of its own."""
        if (part := PART.match(piece)) and int(part[1]) > 1:
            await self.closes.wait()


def render_noise(order: ClipOrder, into: Path, *, last_frame_into: Path | None, stop: object) -> None:
    """Nothing makes it small: a clip goes in one piece just yet, and a film of two in parts."""
    noise = np.random.default_rng(order.number)
    with av.open(into, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"preset": "ultrafast", "qp": "16", "bf": "0"}
        for _ in range(FRAMES):
            picture = noise.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    if last_frame_into is not None:
        Image.fromarray(picture).save(last_frame_into, "PNG")


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploads:
    """Parts of files that are in the storage and are no file yet: its filer lists them."""

    storage: ObjectStorage

    async def parts(self) -> dict[str, set[str]]:
        """Those of each upload that is not ended."""
        async with httpx.AsyncClient(trust_env=False) as filer:
            names = await self._names(filer, "")
            return {name: {each for each in await self._names(filer, f"{name}/") if "part" in each} for name in names}

    async def _names(self, filer: httpx.AsyncClient, below: str) -> list[str]:
        url = f"http://127.0.0.1:{self.storage.ports['filer']}/buckets/{BUCKET}/.uploads/{below}"
        answer = await filer.get(url, headers={"accept": "application/json"})
        entries = (answer.json()["Entries"] or []) if answer.is_success else []
        return [each["FullPath"].rpartition("/")[2] for each in entries]


@pytest.mark.slow
async def test_a_worker_killed_in_the_middle_of_an_upload_leaves_nothing_visible(
    open_studio: OpenStudio,
    wait_until: Callable[..., Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The film is made again elsewhere. Its parts stay, unseen: docs/storage.md has the rule that removes them."""
    monkeypatch.setattr("tests.fixtures.relay.render_clip", render_noise)
    async with open_studio() as studio, Narrow(studio.storage.ports["s3"]) as way:
        uploads, relay = Uploads(storage=studio.storage), studio.relay
        before = await uploads.parts()
        endpoint = {"FRAMERELAY_STORE_ENDPOINT": f"http://127.0.0.1:{way.port}"}
        with studio.process("b", environ=endpoint) as first:

            async def is_half_there() -> bool:
                assert first.poll() is None, studio.log("b")
                return any((await uploads.parts()).values())

            run_id = await relay.run(FILM)
            await wait_until(is_half_there, "a part of the film is in the storage")
            first.kill()
            first.wait()
        half = {name: parts for name, parts in (await uploads.parts()).items() if name not in before}
        half_way, names = await relay.view(run_id), studio.storage.names()
        await studio.add_workers("c")
        run = await relay.wait_for_end(run_id)
        journal = await studio.provider.journal()
        after = await uploads.parts()
        film = run["film"]["url"].rpartition("/media/")[2]
        facts = obstore.head(studio.storage.client(prefix="studio"), film)

    assert first.returncode == -signal.SIGKILL
    assert [len(parts) for parts in half.values()] == [1]
    assert (half_way["status"], half_way["film"]) == ("running", None)
    assert not [name for name in names if "/film" in name]
    assert run["status"] == "succeeded", run
    assert (len(journal["jobs"]), len(journal["submits"])) == (2, 2)
    assert max(shot["takes"][0]["video"]["bytes"] for shot in run["shots"]) < PART_BYTES < run["film"]["bytes"]
    assert facts["size"] == run["film"]["bytes"]
    assert after == {**before, **half}
