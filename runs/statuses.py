"""The statuses of runs, shots and takes, kinds of failure, and where a first frame comes from, with their meanings."""

from enum import StrEnum


class RunStatus(StrEnum):
    """The status of a run; `runs.machine` computes it from the shots and nobody else sets it."""

    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ShotStatus(StrEnum):
    """The status of a shot; computed like a run's."""

    PENDING = "pending"
    SUBMITTING = "submitting"
    GENERATING = "generating"
    COLLECTING = "collecting"
    DONE = "done"
    WAITING = "waiting"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TakeStatus(StrEnum):
    """The life of one paid try; `docs/lifecycle.md` draws which transitions a take can make."""

    SUBMITTING = "submitting"
    GENERATING = "generating"
    COLLECTING = "collecting"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    UNSURE = "unsure"


class Family(StrEnum):
    """Kinds of failure, told apart by what to do next (Ark's error pages, as of 2026, and others' words)."""

    TEXT_MODERATED = "text_moderated"
    """The prompt was refused: the same text will be refused again."""
    IMAGE_MODERATED = "image_moderated"
    """An image or video that we gave was refused (often because of a face): no retry helps."""
    AUDIO_MODERATED = "audio_moderated"
    """The generated sound was refused: one new take may pass, and one without sound surely will."""
    VIDEO_MODERATED = "video_moderated"
    """The generated picture was refused: another seed may pass."""
    REQUEST_INVALID = "request_invalid"
    """A field is missing or wrong."""
    ACCOUNT = "account"
    """Key, payment, or model access: nothing can be submitted until the operator acts."""
    RATE = "rate"
    """Too fast or too busy: waiting helps, and no take was used up."""
    QUOTA = "quota"
    """Used up: waiting does not help."""
    SERVER = "server"
    """The provider's own trouble."""
    EXPIRED = "expired"
    """The job was not done in time."""
    CANCELLED = "cancelled"
    """Somebody cancelled the job."""
    UNKNOWN = "unknown"
    """None of these: show it to a person."""


class From(StrEnum):
    """Where a shot's first frame comes from, other than the id of an earlier shot."""

    CONTINUE = "continue"
    BRIDGE = "bridge"
    CUT = "cut"
