"""The tour, where the data folder lost something: what we made ourselves is made again, what was paid for is named."""

import hashlib
from pathlib import Path
from typing import Any

import av
import pytest

pytestmark = pytest.mark.anyio

BOARD = {
    "title": "gone",
    "model": "seedance-1.5-pro-1080p",
    "shots": [
        {"id": "s1", "prompt": "a car"},
        {"id": "s2", "prompt": "closer", "gate": "approve"},
    ],
}


def folder_of(relay: Any, run: dict[str, Any]) -> Path:
    folder: Path = relay.settings.data_dir / "media" / run["id"]
    return folder


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


async def test_a_last_frame_that_is_gone_is_taken_again_when_it_is_handed_on(
    start_provider: Any, start_relay: Any
) -> None:
    """Its clip is there, so the next shot begins with the very same picture."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        held_run = await relay.wait_for_end(await relay.run(BOARD))
        frame = folder_of(relay, held_run) / "s1.1.last.png"
        before = sha256(frame)
        frame.unlink()
        await relay.api.post(f"/v1/runs/{held_run['id']}/shots/s2/approve")
        run = await relay.wait_for_end(held_run["id"])
        after = sha256(frame)

    assert run["status"] == "succeeded", run["error"]
    assert after == before


async def test_with_its_clip_gone_too_the_words_say_what_and_a_resume_helps_once_it_is_back(
    start_provider: Any, start_relay: Any
) -> None:
    """No path of the machine, nothing paid; the frame itself need not come back."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        held_run = await relay.wait_for_end(await relay.run(BOARD))
        folder = folder_of(relay, held_run)
        (folder / "s1.1.last.png").unlink()
        clip = (folder / "s1.1.mp4").rename(folder / "elsewhere.mp4")
        await relay.api.post(f"/v1/runs/{held_run['id']}/shots/s2/approve")
        failed_run = await relay.wait_for_end(held_run["id"])
        clip.rename(folder / "s1.1.mp4")
        await relay.api.post(f"/v1/runs/{held_run['id']}/resume")
        run = await relay.wait_for_end(held_run["id"])
        submits = (await provider.journal())["submits"]

    message = failed_run["error"]["message"]
    assert (failed_run["status"], failed_run["error"]["code"]) == ("failed", "not_found")
    assert "the last frame of shot s1, take 1 is gone from the data folder" in message
    assert str(relay.settings.data_dir) not in message
    assert run["status"] == "succeeded", run["error"]
    assert len(submits) == 2


async def test_a_film_cannot_be_joined_without_a_clip_and_says_which(start_provider: Any, start_relay: Any) -> None:
    """Once it is back, a resume joins."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        held_run = await relay.wait_for_end(await relay.run(BOARD))
        folder = folder_of(relay, held_run)
        (folder / "s1.1.mp4").rename(folder / "elsewhere.mp4")
        await relay.api.post(f"/v1/runs/{held_run['id']}/shots/s2/approve")
        failed_run = await relay.wait_for_end(held_run["id"])
        (folder / "elsewhere.mp4").rename(folder / "s1.1.mp4")
        await relay.api.post(f"/v1/runs/{held_run['id']}/resume")
        run = await relay.wait_for_end(held_run["id"])

    assert failed_run["error"]["message"].startswith("the clip of shot s1, take 1 is gone from the data folder")
    assert run["status"] == "succeeded", run["error"]


async def test_a_look_at_a_file_that_is_gone_brings_it_back(
    start_provider: Any, start_relay: Any, wait_until: Any
) -> None:
    """Frames and film alike; the clip itself cannot be made, and its absence is reported."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run = await relay.wait_for_end(await relay.run({**BOARD, "shots": BOARD["shots"][:1]}))
        folder, address = folder_of(relay, run), f"/media/{run['id']}"
        film = run["film"]["url"].rpartition("/")[2]
        names = ["s1.1.last.png", "s1.1.first.png", film]
        before = {name: sha256(folder / name) for name in names}
        for name in names:
            (folder / name).unlink()
        responses = [await relay.api.get(f"{address}/{name}") for name in names]

        for name in names:

            async def is_back(name: str = name) -> bool:
                return bool((await relay.api.get(f"{address}/{name}")).status_code == 200)

            await wait_until(is_back, f"{name} is there again")
        after = {name: sha256(folder / name) for name in names}
        (folder / "s1.1.mp4").unlink()
        (folder / film).unlink()
        clip, response = await relay.api.get(f"{address}/s1.1.mp4"), await relay.api.get(f"{address}/{film}")
        nothing = await relay.api.get(f"{address}/s9.1.mp4")
        shown_run = await relay.view(run["id"])

    assert [(answer.status_code, answer.json()["error"]["code"]) for answer in responses] == [(503, "made_again")] * 3
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in responses)
    assert after == before
    assert (clip.status_code, response.status_code, nothing.status_code) == (404, 404, 404)
    assert clip.json()["error"]["message"].startswith("the clip of shot s1, take 1 is gone from the data folder")
    assert response.json()["error"]["message"] == "the film is gone from the data folder, and so is what it was made of"
    assert nothing.json()["error"]["message"] == "there is no such file"
    assert shown_run["revision"] == run["revision"], "a look changes no run"


async def test_a_film_says_what_it_lacks_of_a_shot(start_provider: Any, start_relay: Any, tmp_path: Path) -> None:
    """A clip whose sound nobody here decodes: the film is made, and JSON, `show`, page and log say what is missing."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        held_run = await relay.wait_for_end(await relay.run(BOARD))
        with_odd_sound(folder_of(relay, held_run) / "s1.1.mp4", tmp_path / "odd.mkv")
        await relay.api.post(f"/v1/runs/{held_run['id']}/shots/s2/approve")
        run = await relay.wait_for_end(held_run["id"])
        page = (await relay.api.get(f"/runs/{held_run['id']}", headers={"Accept": "text/html"})).text

    words = "shot s1: its sound (dts) is left out"
    assert run["status"] == "succeeded", run["error"]
    assert run["film"]["warnings"] == [words]
    assert {"code": "film_incomplete", "message": words} in run["warnings"]
    assert "Shot s1: its sound (dts) is left out" in page


def with_odd_sound(clip: Path, draft: Path) -> None:
    """The clip's picture, and AC-3 that is labeled DTS, for which there is no encoder here."""
    with av.open(str(clip)) as source, av.open(str(draft), "w") as output:
        picture = output.add_stream_from_template(source.streams.video[0], opaque=True)
        sound: Any = output.add_stream("ac3", rate=48_000, layout="stereo")
        for n in range(8):
            frame = av.AudioFrame(format="fltp", layout="stereo", samples=1536)
            frame.sample_rate, frame.pts = 48_000, n * 1536
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = picture
                output.mux(packet)
    clip.write_bytes(draft.read_bytes().replace(b"A_AC3", b"A_DTS"))
