"""Nothing is imported or opened once a job is shut in: by then no code of ours can be read any more."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from framerelay.media.decoder import Decoder
from framerelay.media.model import FilmPart
from framerelay.media.words import in_words
from framerelay.runs.errors import ClipUnusable, FrameRelayError

MakeClip = Callable[..., Path]
FEW: dict[str, Any] = {"size": (64, 64), "frames": 5, "audio_s": 0.2, "manifest": False}

NEVER_NEEDED = {"av.__main__", "av.datasets"}
"""A program that prints versions, and the fetcher of PyAV's own samples."""

LIST = """
import json, pkgutil, sys
from framerelay.media.child.main import load, prepare
load(), prepare()
import av
names = [module.name for module in pkgutil.walk_packages(av.__path__, "av.")]
print(json.dumps([name for name in names if name not in sys.modules]))
"""

WATCH = """
import builtins, json, sys
from pathlib import Path
from framerelay.media.child.main import load, prepare, reply
from framerelay.media import wire
work, rehearse = load(), prepare()
rehearse()
requests = [wire.read_request(line.encode()) for line in Path(sys.argv[1]).read_text().splitlines()]
folder, late, working = sys.argv[2], [], False

def watch(event, arguments):
    if working and event == "import":
        late.append("import of " + arguments[0])
    if working and event == "open" and isinstance(arguments[0], str) and not arguments[0].startswith(folder):
        late.append("opening of " + arguments[0])

sys.addaudithook(watch)
answers = []
for request in requests:
    working = True
    answer = reply(request, work)
    working = False
    answers.append(wire.to_json(answer).decode())
print(json.dumps({"late": late, "answers": answers}))
"""


def test_every_module_of_pyav_is_there_before_the_first_job() -> None:
    """All that there are, including any added later: PyAV imports some only when it meets a stream of their kind."""
    missing = json.loads(subprocess.run([sys.executable, "-c", LIST], capture_output=True, check=True).stdout)

    assert set(missing) == NEVER_NEEDED


@pytest.fixture
def odd_clips(make_clip: MakeClip, ffmpeg: str, tmp_path: Path) -> list[Path]:
    """One with each kind of stream that a container can hold beside picture and sound."""
    plain = make_clip("plain.mp4", **FEW)
    lines = tmp_path / "lines.srt"
    lines.write_text("1\n00:00:00,000 --> 00:00:00,100\nHello\n\n2\n00:00:00,100 --> 00:00:00,200\nthere\n")
    chapters = tmp_path / "chapters.txt"
    chapters.write_text(
        ";FFMETADATA1\ntitle=Caf\u00e9 \u65e5\u672c\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=90\ntitle=One\n"
    )
    kinds: dict[str, list[str]] = {
        "mov_text.mp4": ["-i", str(lines), "-map", "0", "-map", "1", "-c", "copy", "-c:s", "mov_text"],
        "srt.mkv": ["-i", str(lines), "-map", "0", "-map", "1", "-c", "copy", "-c:s", "srt"],
        "ass.mkv": ["-i", str(lines), "-map", "0", "-map", "1", "-c", "copy", "-c:s", "ass"],
        "timecode.mov": ["-c", "copy", "-timecode", "01:00:00:00"],
        "chapters.mp4": ["-i", str(chapters), "-map_metadata", "1", "-map_chapters", "1", "-c", "copy"],
        "attachment.mkv": ["-c", "copy", "-attach", str(lines), "-metadata:s:t", "mimetype=application/x-font-ttf"],
    }
    return [plain, *(remade(ffmpeg, plain, tmp_path / name, options) for name, options in kinds.items())]


def test_no_job_imports_or_opens_anything_late(odd_clips: list[Path], make_clip: MakeClip, tmp_path: Path) -> None:
    """Each kind of job, with each kind of stream, of picture and of damage; said by Python itself, without a cage."""
    clips = [*odd_clips, *damaged(odd_clips[0], tmp_path), *kinds_of_picture(make_clip)]
    requests: list[dict[str, Any]] = []
    for clip in clips:
        into = str(clip.with_suffix(".png"))
        requests += [
            {"type": "examine", "clip": str(clip), "frame_into": into},
            {
                "type": "open",
                "clip": str(clip),
                "frame_into": into,
                "begun_with": str(tmp_path / "given.jpeg"),
                "small": [[into, into + ".jpg"]],
            },
        ]
        part = {"path": str(clip), "continued": True}
        requests.append({"type": "join", "parts": [part, {**part, "path": str(odd_clips[0])}], "into": into + ".mp4"})
    for picture in pictures(tmp_path):
        requests.append({"type": "check", "picture": str(picture)})
        requests.append({"type": "compare", "a": str(picture), "b": str(picture)})

    (tmp_path / "requests").write_text("\n".join(map(json.dumps, requests)))
    arguments = [sys.executable, "-X", "utf8", "-c", WATCH, str(tmp_path / "requests"), str(tmp_path)]
    report = json.loads(subprocess.run(arguments, capture_output=True, check=True).stdout)

    assert not report["late"]
    assert len(requests) == len(report["answers"])
    for answer in report["answers"]:
        assert "site-packages" not in answer
        if '"failed"' in answer:
            assert str(tmp_path) not in answer


@pytest.mark.anyio
async def test_in_the_cage_each_of_them_gives_its_frame(
    decoders: tuple[Decoder, Decoder], odd_clips: list[Path], tmp_path: Path
) -> None:
    """The kernel says no to what Python does not see."""
    for clip in odd_clips:
        examination = await decoders[0].examine(clip, frame_into=tmp_path / "last.png")
        assert examination.clip.frames == 5, clip.name
    film = await decoders[0].join([FilmPart(path=clip, continued=False) for clip in odd_clips], tmp_path / "film.mp4")
    assert film.frames == 5 * len(odd_clips)


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["x.avif", "x.ico", "x.jp2", "x.tga", "x.psd", "x.png", "x"])
async def test_a_picture_is_read_whatever_its_name(
    name: str, decoders: tuple[Decoder, Decoder], tmp_path: Path
) -> None:
    """Pillow would import what the name suggests."""
    picture = tmp_path / name
    Image.new("RGB", (9, 7), (1, 2, 3)).save(picture, "PNG")

    assert await decoders[0].check(picture) == (9, 7)
    picture.write_bytes(b"\0\0\0\x1cftypavif" + bytes(64))
    with pytest.raises(ClipUnusable) as failure:
        await decoders[0].check(picture)
    assert failure.value.reason == "not_a_clip"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (StopIteration(), "its data ends too early"),
        (EOFError(), "its data ends too early"),
        (ValueError(), "ValueError"),
        (ValueError("."), "ValueError"),
        (PermissionError(13, "Permission denied", "/opt/venv/lib/av/x.so"), "Permission denied"),
        (ImportError("cannot import x from /opt/venv/lib/x.py at all"), "cannot import x from a file at all"),
        (RuntimeError("file:/srv/data/clip.mp4: 24/1 frames\nper second"), "a file 24/1 frames per second"),
    ],
)
def test_an_error_says_something_and_no_path(error: Exception, words: str) -> None:
    """What a library says is for its programmers; a person gets what is of use."""
    assert in_words(error) == words


def test_an_error_of_the_system_is_not_the_clips(make_clip: MakeClip, tmp_path: Path) -> None:
    """A clip that was paid for is not thrown away because a file of ours cannot be opened."""
    from framerelay.media.child.clips import foreseen_errors

    with pytest.raises(PermissionError), foreseen_errors():
        raise PermissionError(13, "Permission denied", "/opt/venv/lib/av/x.so")
    with pytest.raises(FrameRelayError, match="its data ends too early"), foreseen_errors():
        next(iter(()))


# --- material


def remade(ffmpeg: str, clip: Path, into: Path, options: list[str]) -> Path:
    """*clip* with something more in it, by FFmpeg's command."""
    command = [ffmpeg, "-v", "error", "-nostdin", "-y", "-i", str(clip), *options, str(into)]
    subprocess.run(command, check=True, capture_output=True)
    return into


def damaged(clip: Path, folder: Path) -> list[Path]:
    """The same in pieces."""
    whole = clip.read_bytes()
    bodies = {
        "cut.mp4": whole[: len(whole) // 2],
        "zeroed.mp4": whole[:500] + bytes(1500) + whole[2000:],
        "noise.mp4": bytes(byte ^ 0x55 if 900 < at < 960 else byte for at, byte in enumerate(whole)),
        "page.mp4": b"<html>",
        "empty.mp4": b"",
    }
    for name, body in bodies.items():
        (folder / name).write_bytes(body)
    return [folder / name for name in bodies]


def kinds_of_picture(make_clip: MakeClip) -> list[Path]:
    """Codecs, turns, and bits."""
    silent = {**FEW, "audio_s": None, "bframes": 0}
    return [
        make_clip("turned.mp4", rotation=90, **silent),
        make_clip("hevc.mp4", codec="hevc", pix_fmt="yuv420p10le", **silent),
        make_clip("av1.mp4", codec="av1", **silent),
        make_clip("vp9.webm", codec="vp9", **silent),
        make_clip("cover.mp4", cover=True, **FEW),
    ]


def pictures(folder: Path) -> list[Path]:
    """In each format, each way in which it may hold its colors."""
    paths = []
    for format_, modes in {
        "PNG": ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"),
        "JPEG": ("RGB", "L", "CMYK"),
        "WEBP": ("RGB", "RGBA"),
        "GIF": ("P", "L"),
        "BMP": ("RGB", "P", "1"),
        "TIFF": ("RGB", "CMYK", "L", "I;16", "F"),
    }.items():
        for mode in modes:
            path = folder / f"picture_{mode.replace(';', '')}.{format_.lower()}"
            exif = Image.Exif()
            exif[0x0112] = 6
            Image.new(mode, (40, 30)).save(path, format_, **({"exif": exif} if format_ in ("JPEG", "WEBP") else {}))
            paths.append(path)
    shutil.copyfile(folder / "picture_RGB.jpeg", folder / "given.jpeg")
    (folder / "cut.png").write_bytes((folder / "picture_RGB.png").read_bytes()[:60])
    (folder / "cut.jpg").write_bytes((folder / "picture_RGB.jpeg").read_bytes()[:-20])
    return [*paths, folder / "cut.png", folder / "cut.jpg"]
