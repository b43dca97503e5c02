"""
Everything that can go wrong and that we foresee, as one tree; each leaf says if waiting can help.

A message is lower case without a stop, and says what to do; to show one by itself, ask `runs.text.sentence`.

    FrameRelayError
    ├── Transient                     the same call may succeed later; nothing was spent by it
    │   ├── UpstreamUnavailable       the provider cannot be reached, or answers 5xx to a harmless call
    │   ├── UpstreamRateLimited       429; ``retry_after_s`` says how long to wait
    │   ├── DownloadInterrupted       cut, stalled, shorter than announced, 5xx
    │   ├── DecoderFailed             our decoder process died or took too long
    │   ├── StorageFailed             our disk is full or cannot be written, or object storage is away
    │   ├── Busy                      as many as there may be at once are under way
    │   │   └── FileMissing           it is made again at this moment
    │   └── StoreUnavailable          Redis cannot be reached or refuses to write
    │       └── CopiesMissing         it has written, and too few of its copies have it
    ├── Permanent                     the same call will fail again
    │   ├── UpstreamRejected          the provider refused the request; it carries the provider's own code
    │   ├── UpstreamAnswerUnreadable  a 2xx whose body we cannot use (an upload without a URL, say)
    │   ├── DownloadExpired           401, 403, 404, 410 on a result URL: a new GET may give a new URL
    │   ├── DownloadTooLarge          past the byte limit
    │   ├── AddressForbidden          the URL leads where we must not connect
    │   ├── ClipUnusable              no picture, truncated, corrupt, or of a kind that we do not accept
    │   ├── RequestInvalid            what a person asked for cannot be done; ``param`` names the place
    │   │   └── KeyMissing            not before a key is set: a run that is under way waits for it
    │   ├── StoryboardInvalid         it lists every mistake with its place
    │   ├── Unverified                a callback does not prove who sent it
    │   ├── NotFound                  no such shot, take, callback, file
    │   │   └── RunNotFound           no such run
    │   ├── Conflict                  somebody else was faster, or the state does not allow it
    │   ├── IdAmbiguous               what was given is the beginning of several ids
    │   ├── PlanChanged               the storyboard is not the one that was planned
    │   ├── EmbeddedRedisFailed       the Redis of our own does not start (store/embedded.py)
    │   ├── SchemaTooNew              what is in Redis was written by a newer version (store/schema.py)
    │   ├── RedisUnsupported          this Redis cannot do what we need (store/support.py)
    │   ├── RedisClosed               a backup was moved from here, or is being restored (store/closed.py)
    │   └── PlaceDiffers              other processes keep their files elsewhere (store/one_place.py)
    └── OutcomeUnknown                a submit that may or may not have been accepted: never posted again
"""

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from framerelay.runs.model import Family


class FrameRelayError(Exception):
    """Something foreseen went wrong."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str | None = None) -> None:
        self.message = message or self._default()
        super().__init__(self.message)

    @classmethod
    def _default(cls) -> str:
        """The first line of the docstring as a message: lower case, without a period."""
        first = (cls.__doc__ or "").strip().splitlines()[0]
        return first[:1].lower() + first[1:].rstrip(".")


class Transient(FrameRelayError):
    """Waiting may be enough."""

    code = "transient"

    def __init__(self, message: str | None = None, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Permanent(FrameRelayError):
    """The same call will fail again."""

    code = "permanent"


class UpstreamUnavailable(Transient):
    """The provider cannot be reached or is out of order."""

    code = "upstream_unavailable"


class UpstreamRateLimited(Transient):
    """The provider asks us to wait; nothing was accepted."""

    code = "upstream_rate_limited"

    def __init__(
        self, message: str | None = None, *, retry_after_s: float | None = None, upstream_code: str | None = None
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.upstream_code = upstream_code


class DownloadInterrupted(Transient):
    """The transfer broke off before the file was whole."""

    code = "download_interrupted"


class DecoderFailed(Transient):
    """The decoder process died or took too long."""

    code = "decoder_failed"


class StorageFailed(Transient):
    """Our disk is full or cannot be written."""

    code = "storage_failed"

    @classmethod
    def of(cls, error: OSError) -> "StorageFailed":
        """What the operating system said, in words for a person."""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return cls(
            "our disk is full; free some space" if full else f"our disk: {(error.strerror or str(error)).lower()}"
        )


class StoreUnavailable(Transient):
    """Redis cannot be reached or refuses to write."""

    code = "store_unavailable"


class CopiesMissing(StoreUnavailable):
    """Too few copies of Redis have what was written."""

    code = "copies_missing"


class Busy(Transient):
    """As many as there may be at once are under way."""

    code = "busy"


class FileMissing(Busy):
    """A file was gone and is made again."""

    code = "made_again"


class UpstreamRejected(Permanent):
    """The provider refused the request; sending it again will not help."""

    code = "upstream_rejected"

    def __init__(
        self,
        message: str | None = None,
        *,
        status: int,
        upstream_code: str | None = None,
        family: Family | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.upstream_code = upstream_code
        self.family = family


class UpstreamAnswerUnreadable(Permanent):
    """The provider accepted the request, but its answer lacks what we need."""

    code = "upstream_answer_unreadable"


class DownloadExpired(Permanent):
    """The address of the file is no longer valid; a new look-up may give a new one."""

    code = "download_expired"


class DownloadTooLarge(Permanent):
    """The file is larger than the limit."""

    code = "download_too_large"


class AddressForbidden(Permanent):
    """The address leads to a place that must not be contacted."""

    code = "address_forbidden"


class ClipUnusable(Permanent):
    """
    The file cannot give a frame.

    ``reason`` is one of ``not_a_clip`` (HTML, playlist, image, …), ``not_allowed`` (container or codec outside the
    list, or past a size cap), ``no_picture``, ``truncated``, ``corrupt``.
    """

    code = "clip_unusable"

    def __init__(self, message: str | None = None, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class RequestInvalid(Permanent):
    """The request cannot be understood or carried out as it stands."""

    code = "request_invalid"

    def __init__(self, message: str | None = None, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class KeyMissing(RequestInvalid):
    """A provider that is needed has no key."""

    code = "key_missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One thing wrong in a storyboard; *place* like ``scenes[0].shots[2].from``, *line* counted from 1 where known."""

    place: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        where = f"line {self.line}, " if self.line else ""
        return f"{where}{self.place}: {self.message}"

    def within(self, name: str) -> str:
        """
        The same, without the file *name* if that was already mentioned; a mistake in the whole file has it as its
        place.
        """
        line = f"line {self.line}" if self.line else ""
        where = ", ".join(filter(None, (line, "" if self.place == name else self.place)))
        return f"{where}: {self.message}" if where else self.message


class StoryboardInvalid(Permanent):
    """The storyboard has mistakes."""

    code = "storyboard_invalid"

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)


class Unverified(Permanent):
    """The callback does not prove that it comes from the provider."""

    code = "unverified"


class NotFound(Permanent):
    """There is no such thing here."""

    code = "not_found"


class RunNotFound(NotFound):
    """There is no run of that id, or none any more."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"there is no run {run_id}")


class Conflict(Permanent):
    """The state has changed in the meantime, or does not allow this."""

    code = "conflict"


class IdAmbiguous(Permanent):
    """Several ids begin like this; ``candidates`` are the first of them."""

    code = "ambiguous"

    def __init__(self, text: str, candidates: Sequence[str], *, more: bool = False) -> None:
        ids = f"{', '.join(candidates)}{' and others' if more else ''}"
        super().__init__(f"several ids begin with {text}: {ids}; give more of it")
        self.candidates = tuple(candidates)


class PlanChanged(Permanent):
    """This storyboard is not the one that the plan was made of: plan it again."""

    code = "plan_changed"


class OutcomeUnknown(FrameRelayError):
    """
    The provider may or may not have accepted the job; it is looked up or held, never posted again.

    ``exists``: the provider says that it has a job with this reference already.
    """

    code = "outcome_unknown"

    def __init__(self, message: str | None = None, *, exists: bool = False) -> None:
        super().__init__(message)
        self.exists = exists
