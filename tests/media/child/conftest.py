"""Films of clips whose frames carry numbers."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import pytest

from framerelay.media.child.film import join
from framerelay.media.model import FilmFacts, FilmPart
from tests.media.child.films import SHORT, MakeClip, Playback, listen


@pytest.fixture
def watch(clipmaker: ModuleType) -> Callable[[Path], Playback]:
    """Decode a film with one thread, every complaint of the decoder being an error."""

    def read(path: Path) -> Playback:
        with av.open(str(path), format="mp4") as container:
            stream = container.streams.video[0]
            stream.codec_context.options = {"err_detect": "explode"}
            stream.thread_type = "NONE"
            frames = list(container.decode(stream))
            assert not any(frame.is_corrupt for frame in frames)
            assert frames[0].pts == 0
            images = [frame.to_ndarray(format="rgb24", interpolation=clipmaker.EXACT) for frame in frames]
            times = [frame.pts * stream.time_base for frame in frames] + [stream.duration * stream.time_base]
            context = stream.codec_context
            fields = dict(
                numbers=[clipmaker.read_number(image) for image in images],
                shows_s=[after - before for before, after in pairwise(times)],
                images=images,
                codec=context.codec.canonical_name,
                size=(context.width, context.height),
                tags=tuple(
                    int(tag)
                    for tag in (context.color_range, context.colorspace, context.color_primaries, context.color_trc)
                ),
                rotation=frames[0].rotation,
                picture_s=float(times[-1]),
            )
        return Playback(**fields, **listen(path))

    return read


@pytest.fixture
def film_of(make_clip: MakeClip, tmp_path: Path) -> Callable[..., tuple[Path, FilmFacts]]:
    """``film_of({…}, {…})`` makes a clip of each and joins them; all but the first continue unless told otherwise."""

    def make(*clips: dict[str, Any], continued: bool = True) -> tuple[Path, FilmFacts]:
        parts, number = [], 0
        for n, options in enumerate(clips):
            options = SHORT | {"first_number": number} | options
            suffix = options.pop("suffix", ".mp4")
            path = make_clip(f"part{n}{suffix}", **options)
            parts.append(FilmPart(path=path, continued=continued and n > 0))
            number = options["first_number"] + (options.get("shown_frames") or options["frames"]) - continued
        return tmp_path / "film.mp4", join(parts, tmp_path / "film.mp4")

    return make
