"""Which sound of a clip goes into the film: it has to be in a codec whose decoder we trust with a stranger's bytes."""

from dataclasses import dataclass

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition

PLAIN_SAMPLES = frozenset(
    {"pcm_u8", "pcm_s8", "pcm_alaw", "pcm_mulaw"}
    | {f"pcm_{sample}{order}" for sample in ("s16", "s24", "s32", "s64", "f32", "f64") for order in ("le", "be")}
)
"""Their decoders copy, swap or look up; those for discs and broadcasts (``pcm_bluray``, …) read headers: left out."""

SOUND_CODECS = PLAIN_SAMPLES | {"aac", "mp3", "mp2", "opus", "vorbis", "flac", "alac", "ac3", "eac3"}
"""MP2 is decoded by MP3's code. DTS, TrueHD, WMA and the ADPCMs are old and large, and no model makes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """Samples per second, and channels; *index*: which stream of its file it is."""

    rate: int
    channels: int
    index: int = 0


def find_sound(container: InputContainer) -> tuple[Sound | None, str | None]:
    """
    The sound of a clip; and, in words, why the film will not have it if there is only sound that we do not decode.

    Of several that we do decode, the default one is preferred.
    """
    streams = sorted(container.streams.audio, key=lambda stream: not stream.disposition & Disposition.default)
    for stream in streams:
        context = stream.codec_context
        is_ours = sound_codec(stream) in SOUND_CODECS
        if is_ours and context.sample_rate and context.layout.nb_channels:
            return Sound(rate=context.sample_rate, channels=context.layout.nb_channels, index=stream.index), None
    return None, f"its sound ({sound_codec(streams[0])}) is left out" if streams else None


def sound_codec(stream: AudioStream) -> str:
    """``aac`` and the like, whichever decoder stands for it."""
    context = getattr(stream, "codec_context", None)  # None, whatever the types say, if there is no decoder for it.
    return context.codec.canonical_name if context else "unknown codec"
