"""What the media package says about clips, frames and films; plain data that needs no decoder to be imported."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFacts:
    """
    What a clip holds, measured on its picture.

    ``width`` and ``height`` are pixels as displayed (square ones, after rotation); ``frames`` counts the frames that
    are presented (an edit list may hide some); ``duration_s`` runs from the first frame to the end of the last one.
    Sound may last longer and is not counted. ``notes`` say what is odd about its pictures: ``hdr_pq`` or ``hdr_hlg``
    (they are handed on in SDR), ``interlaced`` (each shows two moments).
    """

    width: int
    height: int
    frames: int
    fps: float
    duration_s: float
    video_codec: str
    has_audio: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFacts:
    """
    A frame that was written as a PNG file.

    ``width`` and ``height`` are pixels; ``sha256`` (hex) is that of the file; ``matrix`` says how YUV was read:
    ``bt601``, ``bt709``, ``bt2020``, …, or ``rgb`` for a clip that holds no YUV.
    """

    path: Path
    width: int
    height: int
    bytes: int
    sha256: str
    matrix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """A clip that was examined, and its last frame."""

    clip: ClipFacts
    frame: FrameFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The first frame of a clip, and its mean ``difference``, in levels of 255, from the picture that it began with."""

    frame: FrameFacts
    difference: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmPart:
    """A clip on its way into a film; ``continued``: its first frame repeats the last frame of the part before."""

    path: Path
    continued: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmWarning:
    """What a film lacks of its *part* (counted from 1), in words that may follow its name."""

    part: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmFacts:
    """
    A film that was written; ``sha256`` (hex) is that of the file.

    ``copied``: the picture was copied without loss; if not, ``reason`` says in words why it was encoded again.
    """

    bytes: int
    sha256: str
    duration_s: float
    frames: int
    copied: bool
    reason: str | None
    warnings: tuple[FilmWarning, ...] = ()
