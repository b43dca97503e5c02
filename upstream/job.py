"""
One reader for everything that describes a job: the answer to a look-up and the body of a callback.

Three shapes are documented or seen: the jobs API's own (``output.status``, ``output.videos[]``), Ark's
(``content.video_url``, ``error``), and either of them wrapped in ``data``. Fields that nobody reads are kept.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from framerelay.config.logs import redacted
from framerelay.upstream.complaints import Complaint, error_in
from framerelay.upstream.families import Family, family_of
from framerelay.upstream.links import read_address
from framerelay.upstream.wire import JobState, read_state
from framerelay.upstream.words import CODE_CHARACTERS_MAX, cut

JOB_ID_CHARACTERS_MAX = 512
"""A longer id cannot be part of an address, so it is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """Why a job failed: the provider's *code* and *message*, as far as it gave them, and what kind that is."""

    code: str | None
    message: str | None
    family: Family


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """
    What the provider says about one job at one moment.

    ``job_ids`` holds every id that names the job, the best first; it may be empty. ``state`` may be ``succeeded`` with
    ``video_url`` None: the provider said so and gave no clip. ``error`` is set for each final state but ``succeeded``.
    ``frames`` counts frames, ``duration_s`` is in seconds (from frames when only these are given, at a given rate).
    ``unknown`` are the fields at the job's own level that this reader does not use.
    """

    job_ids: tuple[str, ...]
    state: JobState
    status_word: str | None
    video_url: str | None = None
    last_frame_url: str | None = None
    seed: int | None = None
    duration_s: float | None = None
    frames: int | None = None
    frames_per_second: float | None = None
    resolution: str | None = None
    ratio: str | None = None
    error: JobError | None = None
    model: str | None = None
    usage: Mapping[str, object] = field(default_factory=dict)
    created: datetime | None = None
    updated: datetime | None = None
    unknown: Mapping[str, object] = field(default_factory=dict)


class JobNews(msgspec.Struct, frozen=True, kw_only=True):
    """The little of a `JobReport` that a callback is believed to say, until the provider has been asked."""

    job_ids: tuple[str, ...]
    state: JobState
    status_word: str | None


def read_news(document: Mapping[str, object]) -> JobNews:
    """Which job *document* is about and in which state, as `read_job` reads it: one is read for each callback."""
    body = _unwrap(document)
    inner = _inner(body)
    places = _places(body, inner)
    word, state = _status(places)
    if state is JobState.SUCCEEDED and _failed_after_all(places) is not None:
        state = JobState.FAILED
    shown = word if state is not JobState.UNKNOWN else redacted(word)
    return JobNews(job_ids=_job_ids(document, body, inner), state=state, status_word=shown)


def read_job(document: Mapping[str, object], *, root: str | None = None) -> JobReport:
    """
    What *document* says about a job; never raises: a field of the wrong type counts as not given.

    Where two levels carry a status, the inner one (``output.status``) counts if it is a word we know: the outer one is
    often the echo of the create answer. A job that is done, with an error and without a clip, has failed.
    *root*: the address that the answer came from, without which a relative address of a clip is none.
    """
    body = _unwrap(document)
    inner = _inner(body)
    places = _places(body, inner)
    status_word, state = _status(places)
    failure = _failed_after_all(places) if state is JobState.SUCCEEDED else None
    state = state if failure is None else JobState.FAILED
    return JobReport(
        job_ids=_job_ids(document, body, inner),
        state=state,
        status_word=redacted(status_word),  # It is logged and shown as it is; some gateways put a whole refusal there.
        video_url=_address(places, _VIDEO_KEYS, root),
        last_frame_url=_address(places, _LAST_KEYS, root),
        seed=_integer(_first(places, "seed")),
        duration_s=_duration(places),
        frames=_integer(_first(places, "frames")),
        frames_per_second=_number(_first(places, *_RATE_KEYS)),
        resolution=_word(_first(places, "resolution")),
        ratio=_word(_first(places, "ratio")),
        error=_error(places, state, status_word, failure),
        model=_word(_first(places, "model")),
        usage=_mapping(_first(places, "usage")) or {},
        created=_time(_first(places, "created_at", "created")),
        updated=_time(_first(places, "updated_at", "updated")),
        unknown={key: value for key, value in body.items() if key not in _READ},
    )


_INNER = ("output", "content", "result", "task_result")
_ID_KEYS = ("id", "task_id", "job_id", "taskId")
_STATUS_KEYS = ("status", "task_status", "state")
_VIDEO_KEYS = ("videos", "video_url", "video", "urls", "outputs", "output", "file_url")
_LAST_KEYS = ("last_frame_url", "last_frame")
_RATE_KEYS = ("framespersecond", "framesPerSecond", "fps")
_ANYWHERE = "https://any.invalid"
_ERROR_KEYS = ("error_message", "failure_reason", "fail_reason", "message")
_OTHER_KEYS = "seed duration frames resolution ratio error model usage created created_at updated updated_at metadata"
_READ = frozenset(
    (*_INNER, *_ID_KEYS, *_STATUS_KEYS, *_VIDEO_KEYS, *_LAST_KEYS, *_RATE_KEYS, *_OTHER_KEYS.split()),
)


def _unwrap(document: Mapping[str, object]) -> Mapping[str, object]:
    """The job's own level: *document*, or its ``data`` if the job is described in there."""
    inner = _mapping(document.get("data"))
    if inner is None or any(document.get(key) for key in _INNER):
        return document
    return inner


def _places(body: Mapping[str, object], inner: list[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """Where fields may stand, innermost first."""
    places = [*inner, body]
    for place in tuple(places):
        if isinstance(metadata := place.get("metadata"), dict):
            places.append(metadata)
    return places


def _inner(body: Mapping[str, object]) -> list[Mapping[str, object]]:
    return [place for key in _INNER if key in body and isinstance(place := body[key], dict)]


def _status(places: list[Mapping[str, object]]) -> tuple[str | None, JobState]:
    """The first word that we know, else the first of all, and the state that it means."""
    unknown = None
    for place in places:
        for key in _STATUS_KEYS:
            if key in place and (word := _word(place[key])) is not None:
                if (state := read_state(word)) is not JobState.UNKNOWN:
                    return word, state
                unknown = unknown or word
    return unknown, JobState.UNKNOWN


def _job_ids(
    document: Mapping[str, object], body: Mapping[str, object], inner: list[Mapping[str, object]]
) -> tuple[str, ...]:
    """Each id once. The create answer's ``id`` is the one to look up with, so ``id`` comes before ``task_id``."""
    found: dict[str, None] = {}
    outer = () if document is body else (document,)
    for place in (body, *inner, *outer):
        for key in _ID_KEYS:
            if key in place and (job_id := _text(place[key])) is not None and len(job_id) <= JOB_ID_CHARACTERS_MAX:
                found[job_id] = None
    return tuple(found)


def _failed_after_all(places: list[Mapping[str, object]]) -> Complaint | None:
    """The error of a job that is said to be done, where it has no clip: some have no other word for a failure."""
    for place in places:  # A loop, since most jobs have no error, and a callback is read in microseconds.
        if place.get("error") or place.get("errors"):
            break
    else:
        return None
    return error_in(places) if _address(places, _VIDEO_KEYS, _ANYWHERE) is None else None


def _address(places: list[Mapping[str, object]], keys: tuple[str, ...], root: str | None) -> str | None:
    texts = (text for place in places for key in keys for text in _texts(place.get(key), 0))
    return next((url for text in texts if (url := read_address(text, root=root)) is not None), None)


def _texts(value: object, depth: int) -> Iterator[str]:
    """The texts in one media value: a string, ``{url}``, ``{video: {url}}``, or a list of these."""
    if depth > 3:
        return
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, depth + 1)
    elif isinstance(value, Mapping):
        for key in ("url", "video_url", "video", "data"):
            yield from _texts(value.get(key), depth + 1)


def _error(
    places: list[Mapping[str, object]], state: JobState, status_word: str | None, failure: Complaint | None
) -> JobError | None:
    if not state.is_final or state is JobState.SUCCEEDED:
        return None
    if failure is not None:
        return JobError(code=failure.code, message=failure.message, family=family_of(failure.code, failure.message))
    given = _first(places, "error")
    details = _mapping(given) or {}
    code = _word(details.get("code")) or (None if details else _word(_first(places, "code")))
    message = _sentence(details.get("message")) or _sentence(given) or _sentence(_first(places, *_ERROR_KEYS))
    family = {JobState.EXPIRED: Family.EXPIRED, JobState.CANCELLED: Family.CANCELLED}.get(state)
    return JobError(code=code, message=message, family=family or family_of(code or _telling(status_word), message))


def _telling(status_word: str | None) -> str | None:
    """A status word that says more than "failed": some gateways answer ``nsfw``."""
    return status_word if status_word and status_word.lower() == "nsfw" else None


def _duration(places: list[Mapping[str, object]]) -> float | None:
    """Seconds. Ark gives either ``duration`` or ``frames``."""
    duration = _number(_first(places, "duration"))
    if duration is not None and duration > 0:
        return duration
    frames, rate = _number(_first(places, "frames")), _number(_first(places, *_RATE_KEYS))
    return frames / rate if frames and rate and frames > 0 and rate > 0 else None


def _first(places: list[Mapping[str, object]], *keys: str) -> object:
    return next((place[key] for place in places for key in keys if place.get(key) is not None), None)


def _mapping(value: object) -> Mapping[str, object] | None:
    return value if isinstance(value, dict) else None


def _text(value: object) -> str | None:
    """A non-empty string; a whole number counts too, as some gateways number their jobs and states."""
    if isinstance(value, str):
        return value.strip() or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else None


def _word(value: object) -> str | None:
    text = _text(value)
    return text if text is None or len(text) <= CODE_CHARACTERS_MAX else cut(text, CODE_CHARACTERS_MAX)


def _sentence(value: object) -> str | None:
    text = _text(value)
    return None if text is None else cut(text)


def _number(value: object) -> float | None:
    """A finite number; digits in a string count (Kling writes ``"duration": "5"``)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _integer(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number.is_integer() and abs(number) < 2**53 else None


def _time(value: object) -> datetime | None:
    """Epoch seconds, or milliseconds (Kling) when the number is too large for seconds."""
    seconds = _number(value)
    if seconds is None or seconds <= 0:
        return None
    try:
        return datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return None
