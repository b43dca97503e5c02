"""
One reader for everything that describes a job: the answer to a look-up and the body of a callback.

Three shapes are documented or seen: the jobs API's own (``output.status``, ``output.videos[]``), Ark's
(``content.video_url``, ``error``), and either of them wrapped in ``data``. Unused fields are kept.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from framerelay.config.logs import redact
from framerelay.upstream.complaints import Complaint, error_in
from framerelay.upstream.families import Family, family_of
from framerelay.upstream.links import read_address
from framerelay.upstream.values import (
    integer_of,
    mapping_of,
    number_of,
    sentence_of,
    text_of,
    time_of,
    word_of,
)
from framerelay.upstream.wire import JobState, read_state

JOB_ID_CHARACTERS_MAX = 512
"""A longer id cannot be part of an address, so it does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """Why a job failed: the provider's *code* and *message*, if it gave them, and their family."""

    code: str | None
    message: str | None
    family: Family


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """
    What the provider says about one job at one moment.

    ``job_ids`` holds every id that names the job, the best first; it may be empty. ``state`` may be ``succeeded`` with
    ``video_url`` None: the provider said so and gave no clip. ``error`` is set for each final state except
    ``succeeded``.
    ``frames`` counts frames, ``duration_s`` is in seconds (computed from frames at a given rate if only these are
    given).
    ``cost`` is a number in the provider's own unit (money, credits, tokens: its profile says which).
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
    cost: float | None = None
    usage: Mapping[str, object] = field(default_factory=dict)
    created: datetime | None = None
    updated: datetime | None = None
    unknown: Mapping[str, object] = field(default_factory=dict)


class JobNews(msgspec.Struct, frozen=True, kw_only=True):
    """
    The part of a `JobReport` that is accepted from a callback until the provider has been asked.

    ``reference``: our own, if the profile says that callbacks have it.
    """

    job_ids: tuple[str, ...]
    state: JobState
    status_word: str | None
    reference: str | None = None


def read_news(document: Mapping[str, object]) -> JobNews:
    """Which job *document* is about and in which state, as `read_job` reads it; called for each callback."""
    body = _unwrap(document)
    inner = _inner(body)
    places = _places(body, inner)
    word, state = _status(places)
    if state is JobState.SUCCEEDED and _failure_behind_success(places) is not None:
        state = JobState.FAILED
    status_word = word if state is not JobState.UNKNOWN else redact(word)
    return JobNews(job_ids=_job_ids(document, body, inner), state=state, status_word=status_word)


def read_job(document: Mapping[str, object], *, root: str | None = None) -> JobReport:
    """
    What *document* says about a job; never raises: a field of the wrong type counts as not given.

    If two levels carry a status, the inner one (``output.status``) counts if it is a word we know: the outer one is
    often the echo of the answer to the create. A job that is done, with an error and without a clip, has failed.
    *root*: the address that the answer came from, without which a relative address of a clip does not count.
    """
    body = _unwrap(document)
    inner = _inner(body)
    places = _places(body, inner)
    status_word, state = _status(places)
    failure = _failure_behind_success(places) if state is JobState.SUCCEEDED else None
    state = state if failure is None else JobState.FAILED
    return JobReport(
        job_ids=_job_ids(document, body, inner),
        state=state,
        status_word=redact(status_word),  # It is logged and shown as it is; some gateways put a whole refusal there.
        video_url=_address(places, _VIDEO_KEYS, root),
        last_frame_url=_address(places, _LAST_KEYS, root),
        seed=integer_of(_first(places, "seed")),
        duration_s=_duration(places),
        frames=integer_of(_first(places, "frames")),
        frames_per_second=number_of(_first(places, *_RATE_KEYS)),
        resolution=word_of(_first(places, "resolution")),
        ratio=word_of(_first(places, "ratio")),
        error=_error(places, state, status_word, failure),
        model=word_of(_first(places, "model")),
        usage=mapping_of(_first(places, "usage")) or {},
        created=time_of(_first(places, "created_at", "created")),
        updated=time_of(_first(places, "updated_at", "updated")),
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
    """The job's own level: *document*, or its ``data`` if that describes the job."""
    inner = document.get("data")
    if not isinstance(inner, dict) or any(document.get(key) for key in _INNER):
        return document
    return inner


def _places(body: Mapping[str, object], inner: list[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """Where fields may be, innermost first."""
    places = [*inner, body]
    for place in tuple(places):
        if isinstance(metadata := place.get("metadata"), dict):
            places.append(metadata)
    return places


def _inner(body: Mapping[str, object]) -> list[Mapping[str, object]]:
    places: list[Mapping[str, object]] = []  # A loop, as below: on Python 3.11 it takes half the time.
    for key in _INNER:
        if key in body and isinstance(place := body[key], dict):
            places.append(place)
    return places


def _status(places: list[Mapping[str, object]]) -> tuple[str | None, JobState]:
    """The first word that we know, or else the first of all, and the state that it means."""
    odd_word = None
    for place in places:
        for key in _STATUS_KEYS:
            if key in place and (word := word_of(place[key])) is not None:
                if (state := read_state(word)) is not JobState.UNKNOWN:
                    return word, state
                odd_word = odd_word or word
    return odd_word, JobState.UNKNOWN


def _job_ids(
    document: Mapping[str, object], body: Mapping[str, object], inner: list[Mapping[str, object]]
) -> tuple[str, ...]:
    """Each id once. The ``id`` in a create's answer is the one to look up with, so it comes before ``task_id``."""
    ids: dict[str, None] = {}
    for place in (body, *inner) if document is body else (body, *inner, document):
        for key in _ID_KEYS:
            if key in place and (job_id := text_of(place[key])) is not None and len(job_id) <= JOB_ID_CHARACTERS_MAX:
                ids[job_id] = None
    return tuple(ids)


def _failure_behind_success(places: list[Mapping[str, object]]) -> Complaint | None:
    """The error of a job that is reported as done, without a clip: some providers have no other word for a failure."""
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
    error = _first(places, "error")
    details = mapping_of(error) or {}
    code = word_of(details.get("code")) or (None if details else word_of(_first(places, "code")))
    message = sentence_of(details.get("message")) or sentence_of(error) or sentence_of(_first(places, *_ERROR_KEYS))
    family = {JobState.EXPIRED: Family.EXPIRED, JobState.CANCELLED: Family.CANCELLED}.get(state)
    return JobError(code=code, message=message, family=family or family_of(code or _nsfw_word(status_word), message))


def _nsfw_word(status_word: str | None) -> str | None:
    """A status word that says more than "failed": some gateways answer ``nsfw``."""
    return status_word if status_word and status_word.lower() == "nsfw" else None


def _duration(places: list[Mapping[str, object]]) -> float | None:
    """Seconds. Ark gives either ``duration`` or ``frames``."""
    duration = number_of(_first(places, "duration"))
    if duration is not None and duration > 0:
        return duration
    frames, rate = number_of(_first(places, "frames")), number_of(_first(places, *_RATE_KEYS))
    return frames / rate if frames and rate and frames > 0 and rate > 0 else None


def _first(places: list[Mapping[str, object]], *keys: str) -> object:
    return next((place[key] for place in places for key in keys if place.get(key) is not None), None)
