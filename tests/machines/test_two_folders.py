"""Machines without a common folder: a receiver and two workers, each with its own data folder, and one bucket."""

import asyncio
import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import obstore
import pytest
from PIL import Image

from tests.fixtures.relay import API_KEY, Relay
from tests.machines.object_storage import ObjectStorage
from tests.machines.studio import OpenStudio

pytestmark = pytest.mark.anyio

CHAIN: dict[str, Any] = {
    "title": "Far",
    "model": "vendor/any-model",
    "defaults": {"resolution": "480p", "duration": 5},
    "scenes": [
        {"id": "a", "shots": [{"id": f"s{number}", "prompt": f"shot {number}"} for number in range(1, 5)]},
        {"id": "b", "shots": [{"id": "t1", "prompt": "another"}, {"id": "t2", "prompt": "more"}]},
    ],
}


@pytest.mark.parametrize("handoff", ["upload", "serve"])
async def test_any_worker_goes_on_from_what_another_one_fetched(
    handoff: str, open_studio: OpenStudio, wait_until: Any
) -> None:
    """Chains, their films and pages need no common folder: one job for a take, and clips byte for byte."""
    async with open_studio(handoff=handoff) as studio:
        relay, folder = studio.relay, studio.folder
        await studio.add_workers("b", "c", tasks_max=2)
        begins = (await relay.api.post("/v1/files", content=picture())).json()["name"]
        scenes = [CHAIN["scenes"][0], {**CHAIN["scenes"][1], "first_frame": begins}]
        runs = [await relay.run({**CHAIN, "scenes": scenes}) for _ in range(3)]
        ends = [await relay.wait_for_end(run_id) for run_id in runs]

        assert [run["status"] for run in ends] == ["succeeded"] * 3, ends
        assert len((await studio.provider.journal())["jobs"]) == 18
        for run in ends:
            await _is_whole(relay.api, run)
        await _is_exported(relay, ends[0], folder / "export")
        await _is_made_again(relay, ends[0], studio.storage, [folder / name for name in "abc"], wait_until)
    folders = [{path.name for path in (folder / name / "data" / "media").rglob("*.mp4")} for name in ("b", "c")]
    assert all(folders), "one worker did everything: the test shows nothing"


async def _is_whole(api: httpx.AsyncClient, run: dict[str, Any]) -> None:
    """Each clip, frame and the film are had by an address of the receiver, which sends there without our key."""
    urls = [run["film"]["url"]]
    for shot in run["shots"]:
        for take in shot["takes"]:
            urls += [take["video"]["url"], take["last_frame"]["url"]]
    async with httpx.AsyncClient(trust_env=False) as anybody:
        for url in urls:
            answer = await api.get(url)
            assert answer.status_code == 307, (url, answer.text)
            assert API_KEY not in answer.headers["location"]
            part = await anybody.get(answer.headers["location"], headers={"Range": "bytes=0-3"})
            assert part.status_code == 206
            assert len(part.content) == 4


async def _is_exported(relay: Relay, run: dict[str, Any], folder: Path) -> None:
    """By the command, from a machine that has neither folder nor bucket; byte for byte."""
    environ = {"PATH": os.environ["PATH"], "FRAMERELAY_URL": relay.settings.listen_url, "FRAMERELAY_API_KEY": API_KEY}
    words = ["-m", "framerelay.cli.main", "export", run["id"], "--to", str(folder)]
    command = await asyncio.create_subprocess_exec(sys.executable, *words, env=environ, stderr=subprocess.PIPE)
    _, errors = await command.communicate()

    assert (command.returncode, errors) == (0, b"")
    assert hashlib.sha256((folder / "film.mp4").read_bytes()).hexdigest() == run["film"]["sha256"]
    clips = {hashlib.sha256(clip.read_bytes()).hexdigest() for clip in folder.rglob("*.mp4")}
    assert clips >= {take["video"]["sha256"] for shot in run["shots"] for take in shot["takes"]}


async def _is_made_again(
    relay: Relay, run: dict[str, Any], storage: ObjectStorage, folders: list[Path], wait_until: Any
) -> None:
    """A frame that is gone from everywhere, by whichever worker fetches its clip."""
    path = run["shots"][0]["takes"][0]["last_frame"]["url"].rpartition("/media/")[2]
    before = bytes(obstore.get(storage.client(prefix="studio"), path).bytes())
    obstore.delete(storage.client(prefix="studio"), path)
    for folder in folders:
        (folder / "data" / "media" / path).unlink(missing_ok=True)
    answer = await relay.api.get(f"/media/{path}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "made_again")

    async def is_back() -> bool:
        return (await relay.api.get(f"/media/{path}")).status_code == 307

    await wait_until(is_back, "the frame is made again")
    assert bytes(obstore.get(storage.client(prefix="studio"), path).bytes()) == before


def picture() -> bytes:
    """What a person gives to begin with."""
    file = io.BytesIO()
    Image.new("RGB", (64, 36), "teal").save(file, "PNG")
    return file.getvalue()
