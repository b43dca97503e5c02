"""`export`: a folder that needs nobody, written whole, repeated at will, and nobody else's files touched."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import opentimelineio as otio
import pytest

from framerelay.api import shapes
from framerelay.api.timeline import rate_of
from tests.api.example_shapes import VIDEO

CHAIN = """
title: 霓虹雨夜
model: seedance-1.5-pro-720p
budget: {jobs: 8}
style: 雨夜
shots:
  - {id: s1, prompt: 跑车驶过街道, seed: 7}
  - {id: s2, prompt: 镜头拉近}
  - {id: s3, prompt: 俯拍, from: cut}
"""
GATED = """
model: seedance-1.5-pro-720p
shots:
  - {id: s1, prompt: a}
  - {id: s2, prompt: b, gate: approve}
"""


@pytest.fixture(scope="module")
def film(relay: Any) -> dict[str, Any]:
    """A run that has its film."""
    result = relay.run("run", relay.write("chain.yaml", CHAIN), "--watch", "--json")
    run: dict[str, Any] = json.loads(result.out)
    return run


@pytest.fixture(scope="module")
def delivery(relay: Any, film: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its export; for tests to copy."""
    folder = tmp_path_factory.mktemp("delivery") / "out"
    result = relay.run("export", film["id"], "--to", str(folder))
    assert (result.code, result.err) == (0, "")
    assert result.last == f"export: {folder}"
    return folder


@pytest.fixture
def out(delivery: Path, tmp_path: Path) -> Path:
    """A copy of the export."""
    return Path(shutil.copytree(delivery, tmp_path / "out"))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below *folder*."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def exported(relay: Any, run: Any, *words: str) -> dict[str, Any]:
    """The answer of an export that went well."""
    result = relay.run("export", run["id"], *words, "--json")
    assert result.code == 0, result.err
    answer: dict[str, Any] = json.loads(result.out)
    return answer


def test_a_run_is_a_folder_with_words_jobs_and_hashes(relay: Any, film: Any, delivery: Path) -> None:
    """Film and clips are those of the run, byte by byte; the manifest says what was asked for and what came."""
    files = contents(delivery)
    assert files.keys() == {
        *("clips/s1.1.mp4", "clips/s2.1.mp4", "clips/s3.1.mp4", "film.mp4", "film.otio", "manifest.json")
    }
    media = relay.folder / "data" / "media" / film["id"]
    assert files["film.mp4"] == (media / "film.mp4").read_bytes()
    manifest = json.loads(files["manifest.json"])
    assert (manifest["version"], manifest["run"], manifest["title"]) == (1, film["id"], "霓虹雨夜")
    first = manifest["shots"][0]
    assert (first["prompt"], first["takes"][0]["seed"]) == ("跑车驶过街道，雨夜", 7)
    assert first["takes"][0]["job_id"] == film["shots"][0]["takes"][0]["job_id"]
    for file in [manifest["film"], manifest["timeline"], *(shot["takes"][0] for shot in manifest["shots"])]:
        assert file["sha256"] == hashlib.sha256(files[file["file"]]).hexdigest()
        assert file["bytes"] == len(files[file["file"]])
    assert manifest["film"]["duration_s"] == film["film"]["duration_s"]


def test_a_film_that_is_gone_is_waited_for(relay: Any, film: Any, tmp_path: Path) -> None:
    """It is made again when somebody asks; the command said "the receiver answered 503", and stopped."""
    place = relay.folder / "data" / "media" / film["id"] / "film.mp4"
    before = place.read_bytes()
    place.unlink()

    exported(relay, film, "--to", str(tmp_path / "late"))

    assert (tmp_path / "late" / "film.mp4").read_bytes() == place.read_bytes() == before


def test_the_timeline_is_as_long_as_the_film(film: Any, delivery: Path) -> None:
    """Read back by the library: the clips in order, relative media, the repeated frame once, and whose they are."""
    timeline = otio.adapters.read_from_file(str(delivery / "film.otio"))
    (track,) = timeline.tracks

    assert (timeline.name, track.kind) == ("霓虹雨夜", "Video")
    assert [clip.name for clip in track] == ["s1", "s2", "s3"]
    for clip, shot in zip(track, film["shots"], strict=True):
        take = shot["takes"][0]
        frames = take["video"]["frames"]
        assert clip.media_reference.target_url == f"clips/{shot['id']}.1.mp4"
        assert (delivery / clip.media_reference.target_url).is_file()
        assert clip.available_range().duration == otio.opentime.RationalTime(frames, 24)
        assert clip.duration().value == frames - (shot["id"] == "s1")  # s2 begins with its last frame; s3 is a cut.
        tags = dict(clip.metadata["framerelay"])
        assert (tags["run"], tags["shot"], tags["take"]) == (film["id"], shot["id"], 1)
        assert tags["sha256"] == take["video"]["sha256"]
    assert timeline.duration().to_seconds() == pytest.approx(film["film"]["duration_s"], abs=0.005)


@pytest.mark.parametrize(
    ("frames", "length_s", "rate"), [(121, 5.042, 24), (125, 5.0, 25), (150, 5.005, 30000 / 1001), (70, 10.0, 7.0)]
)
def test_a_rate_is_the_usual_one_that_fits(frames: int, length_s: float, rate: float) -> None:
    """Lengths are given to the millisecond, and an editor wants 24, not 23.998."""
    video = msgspec.convert({**VIDEO, "frames": frames, "duration_s": length_s}, shapes.Video)
    assert rate_of(video) == rate


def test_an_export_again_keeps_what_is_right_and_fetches_what_is_missing(relay: Any, film: Any, out: Path) -> None:
    """After one that broke off: nothing is fetched twice, nothing is left half, all is as after one go."""
    whole = contents(out)
    assert all(file["kept"] for file in exported(relay, film, "--to", str(out))["files"])
    for name in ("clips/s2.1.mp4", "manifest.json", "film.otio"):
        (out / name).unlink()
    (out / "clips" / ".s2.1.mp4.new").write_bytes(b"half a clip")

    again = {file["file"]: file["kept"] for file in exported(relay, film, "--to", str(out))["files"]}
    assert contents(out) == whole
    assert (again["clips/s1.1.mp4"], again["clips/s2.1.mp4"], again["film.mp4"]) == (True, False, True)


@pytest.mark.parametrize("name", ["clips/s1.1.mp4", "film.mp4", "film.otio", "manifest.json"])
def test_a_file_of_somebody_else_is_left_alone(relay: Any, film: Any, tmp_path: Path, name: str) -> None:
    """One sentence that names it, exit 1."""
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(b"{}, and mine")
    result = relay.run("export", film["id"], "--to", str(tmp_path))

    assert (result.code, result.out) == (1, "")
    assert f"{place} is not of this export" in result.sentence
    assert "--to" in result.sentence
    assert place.read_bytes() == b"{}, and mine"


@pytest.mark.parametrize("name", ["clips/s1.1.mp4", "film.mp4", "film.otio"])
def test_what_somebody_changed_after_an_export_is_theirs(relay: Any, film: Any, out: Path, name: str) -> None:
    """An editor may have worked on it."""
    (out / name).write_bytes(b"better now")

    assert f"{out / name} is not of this export" in relay.run("export", film["id"], "--to", str(out)).sentence
    assert (out / name).read_bytes() == b"better now"


def test_another_run_does_not_go_into_the_same_folder(relay: Any, out: Path) -> None:
    """Two runs with shots of the same name would become one heap."""
    other = relay.run("run", relay.write("gated.yaml", GATED)).out.removeprefix("run: ").strip()
    before = contents(out)

    assert "manifest.json is not of this export" in relay.run("export", other, "--to", str(out)).sentence
    assert contents(out) == before


def test_an_unfinished_run_has_gaps_and_a_new_film_replaces_the_old(relay: Any, tmp_path: Path) -> None:
    """Exported three times: without its second shot, with its film, and after a retake."""
    run = json.loads(relay.run("run", relay.write("gated.yaml", GATED), "--watch", "--json").out)
    early = relay.run("export", run["id"], "--to", str(tmp_path))
    assert (early.code, "no clip yet of s2" in early.err) == (0, True)
    assert not (tmp_path / "film.mp4").exists()
    (track,) = otio.adapters.read_from_file(str(tmp_path / "film.otio")).tracks
    assert [type(item).__name__ for item in track] == ["Clip", "Gap"]
    assert track[1].duration() == track[0].duration()
    never = relay.run("run", relay.write("gated.yaml", GATED), "--watch").out.splitlines()[0].removeprefix("run: ")
    relay.run("cancel", never)
    assert "no clip of s2, which is a gap in film.otio\n" in relay.run("export", never).err

    relay.run("approve", run["id"], "s2")
    assert relay.run("show", run["id"], "--watch").code == 0
    first = exported(relay, run, "--to", str(tmp_path))
    assert first["missing"] == []
    film = (tmp_path / "film.mp4").read_bytes()

    relay.run("retake", run["id"], "s2", "--seed", "99")
    assert relay.run("show", run["id"], "--watch").code == 0
    copies = {file["file"]: file["kept"] for file in exported(relay, run, "--to", str(tmp_path))["files"]}
    assert (copies["clips/s2.1.mp4"], copies["clips/s2.2.mp4"], copies["film.mp4"]) == (True, False, False)
    assert (tmp_path / "film.mp4").read_bytes() != film


def test_the_timeline_is_as_long_as_a_film_with_a_stale_shot(relay: Any, tmp_path: Path) -> None:
    """s2 begins with the end of a take that is not in the film any more, so no frame of s1 is there twice."""
    board = relay.write("two.yaml", GATED.replace(", gate: approve", ""))
    run = json.loads(relay.run("run", board, "--watch", "--json").out)
    relay.run("retake", run["id"], "s1", "--seed", "99", "--yes")
    run = json.loads(relay.run("show", run["id"], "--watch", "--json").out)
    exported(relay, run, "--to", str(tmp_path))

    (track,) = otio.adapters.read_from_file(str(tmp_path / "film.otio")).tracks
    assert [(shot["stale"], shot["continued"]) for shot in run["shots"]] == [(False, False), (True, False)]
    assert sum(clip.duration().value for clip in track) == run["film"]["frames"]


def test_what_cannot_be_exported_is_one_sentence(relay: Any, tmp_path: Path) -> None:
    """No such run; a folder that is a file."""
    assert "there is no run" in relay.run("export", "run_x").sentence
    assert not (relay.folder / "run_x").exists()
    (tmp_path / "file").write_bytes(b"")
    run = relay.run("run", "-", input=GATED).out.removeprefix("run: ").strip()
    assert "it is not a folder" in relay.run("export", run, "--to", str(tmp_path / "file")).sentence
    relay.run("cancel", run)
