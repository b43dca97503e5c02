"""What can be chosen about a sandbox."""

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from framerelay.sandbox.faults import Faults, OptionInvalid

QUEUE_S: Final = 0.3

_BOUNDS: Final = (
    ("scale", 0.05, 1),
    ("seconds_per_clip", 0, 15),
    ("concurrency", 1, 64),
    ("bframes", 0, 16),
    ("job_s", 0, 86_400),
    ("output_ttl_s", 0, 31_536_000),
    ("callback_retry_s", 0, 3600),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """
    *key* is what clients must send as Bearer; *folder* keeps what is uploaded and rendered.

    Everything else has a default that makes the sandbox behave like the real API, only faster.
    """

    key: str
    folder: Path
    public_url: str | None = None
    """How others reach the sandbox, for the URLs in its answers; None: as the submit reached it."""
    dialect: Literal["jobs", "ark"] = "jobs"
    """Shape of look-ups and callbacks: the jobs API's ``output``, or Ark's ``content``."""
    webhook_secret: str | None = None
    """Signs Kling's callbacks (``whsec_…``, Standard Webhooks), which are unsigned without it."""
    idempotent: bool = False
    """Honor ``Idempotency-Key``; the real API does not document it, so a repeat is a second paid job."""
    queue_s: float = QUEUE_S
    """Seconds that a job stays queued at least."""
    job_s: float = 2.0
    """Seconds that a job runs at least; rendering may take longer."""
    concurrency: int = 2
    """Jobs that run at a time; more are queued."""
    jobs_max: int = 1000
    """Jobs that may wait or run; more are answered 429."""
    seconds_per_clip: float | None = None
    """Length of every clip, whatever was asked for; clips have ``seconds * 24 + 1`` frames."""
    scale: float = 1.0
    """Factor on width and height; 0.25 renders a clip in well under a second."""
    bframes: int = 0
    """B-frames in a row; the real model uses 3, 0 lets a film be joined by dropping packets."""
    callback_timeout_s: float = 5.0
    callback_tries: int = 3
    callback_retry_s: float = 0.5
    """Seconds between two tries of a callback about a final state; other callbacks are tried once."""
    output_ttl_s: float | None = None
    """Seconds after which the URL of a clip or frame is answered 403; the real ones last 24 hours."""
    folder_bytes_max: int = 4 * 1024**3
    """The oldest files are removed past this."""
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        if not self.key or not self.key.isascii() or not self.key.isprintable():
            raise OptionInvalid("key", "must be printable ASCII.")
        if self.public_url is not None and not self.public_url.startswith(("http://", "https://")):
            raise OptionInvalid("public_url", "must begin with http:// or https://.")
        if self.webhook_secret is not None and not _is_secret(self.webhook_secret):
            raise OptionInvalid("webhook_secret", "must be base64, with or without whsec_ before it.")
        for name, least, most in _BOUNDS:
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise OptionInvalid(name, f"must lie between {least} and {most}.")


def _is_secret(text: str) -> bool:
    try:
        return bool(base64.b64decode(text.removeprefix("whsec_"), validate=True))
    except ValueError:
        return False
