"""A run as an OpenTimelineIO timeline: the clips of its film for an editor, on one track, as the film shows them."""

from collections.abc import Mapping
from statistics import median
from typing import Final

import opentimelineio as otio
from opentimelineio.opentime import RationalTime, TimeRange

from framerelay.api import shapes
from framerelay.api.manifest import ExportClip

RATES: Final = (24.0, 25.0, 30.0, 16.0, 60.0, 50.0, 48.0, 15.0, 12.0, 24000 / 1001, 30000 / 1001, 60000 / 1001)
RATE: Final = 24.0  # Of gaps if no clip gives another one.
GAP_S: Final = 5.0  # The same.


def timeline_of(run: shapes.Run, clips: Mapping[str, ExportClip]) -> str:
    """
    The timeline of *run* as ``.otio``; *clips*: by the ids of the shots that have one.

    A frame that the next shot repeats is left out of the shot before, as in the film; a shot without a clip is a gap as
    long as most clips are.
    """
    track = otio.schema.Track(name="film", kind=otio.schema.TrackKind.Video)
    gap = _gap_length([clip.video for clip in clips.values()])
    shots = run.shots
    for shot, following in zip(shots, [*shots[1:], None], strict=True):
        if shot.id in clips:
            is_repeated = following is not None and following.continued and following.id in clips
            track.append(_clip(run, clips[shot.id], is_repeated=is_repeated))
        else:
            span = TimeRange(RationalTime(0, gap.rate), gap)
            track.append(otio.schema.Gap(name=shot.id, source_range=span, metadata=_metadata(run, shot, None)))
    timeline = otio.schema.Timeline(name=run.title, metadata={"framerelay": {"run": run.id}})
    timeline.tracks.append(track)
    return str(otio.adapters.write_to_string(timeline, "otio_json"))


def rate_of(video: shapes.Video) -> float:
    """Frames per second: the first usual rate that matches the length, to the millisecond; or the computed one."""
    frames, length_s = video.frames, video.duration_s
    fitting = (rate for rate in RATES if abs(frames / rate - length_s) < 0.0006)
    return next(fitting, round(frames / length_s, 3))


def _clip(run: shapes.Run, clip: ExportClip, *, is_repeated: bool) -> otio.schema.Clip:
    rate, frames = rate_of(clip.video), clip.video.frames
    start = RationalTime(0, rate)
    return otio.schema.Clip(
        name=clip.shot.id,
        media_reference=otio.schema.ExternalReference(
            target_url=clip.file, available_range=TimeRange(start, RationalTime(frames, rate))
        ),
        source_range=TimeRange(start, RationalTime(frames - is_repeated, rate)),
        metadata=_metadata(run, clip.shot, clip),
    )


def _gap_length(videos: list[shapes.Video]) -> RationalTime:
    if not videos:
        return RationalTime(GAP_S * RATE, RATE)
    rate = rate_of(videos[0])
    return RationalTime(round(median(video.duration_s for video in videos) * rate), rate)


def _metadata(run: shapes.Run, shot: shapes.Shot, clip: ExportClip | None) -> dict[str, dict[str, object]]:
    facts: dict[str, object] = {"run": run.id, "scene": shot.scene, "shot": shot.id, "prompt": shot.prompt}
    if clip:
        take = clip.take
        facts |= {
            "take": take.number,
            "seed": take.seed,
            "job_id": take.job_id,
            "sha256": clip.video.sha256,
        }
    return {"framerelay": facts}
