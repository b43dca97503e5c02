"""What an answer or a callback says about a job, by the provider's profile. Pure; never raises because of content."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from framerelay.config.logs import redact
from framerelay.runs.errors import RequestInvalid
from framerelay.runs.model import Family
from framerelay.upstream.callback import COMMAS_MAX
from framerelay.upstream.job import JOB_ID_CHARACTERS_MAX, JobError, JobNews, JobReport, read_job
from framerelay.upstream.links import read_address
from framerelay.upstream.order import fill_address
from framerelay.upstream.paths import read_path
from framerelay.upstream.profile import CallbackRules, ErrorPaths, Profile, Read, StateRule, Times
from framerelay.upstream.profile_words import Fact
from framerelay.upstream.refusals import error_of
from framerelay.upstream.values import integer_of, mapping_of, number_of, text_of, time_of, word_of
from framerelay.upstream.wire import JobState

_OF_STATE: Final = {JobState.EXPIRED: Family.EXPIRED, JobState.CANCELLED: Family.CANCELLED}
_FAILURES: Final = (JobState.FAILED, JobState.EXPIRED, JobState.CANCELLED)


def record_in(profile: Profile, document: Mapping[str, object]) -> object:
    """The part of a look-up's answer that describes the job; None if there is no such job in it."""
    path = profile.get.record
    return document if path is None else read_path(path).find(document, document)


def read_answer(profile: Profile, document: Mapping[str, object], *, root: str | None = None) -> JobReport:
    """
    What the answer to a look-up says; a job in state ``unknown`` if it describes none.

    *root*: the address that it came from, without which a relative address of a clip does not count.
    """
    if profile.read is None:
        return read_job(document, root=root)
    return _read(profile, profile.read, record_in(profile, document) or {}, document, root)


def read_entry(profile: Profile, entry: Mapping[str, object], *, root: str) -> JobReport:
    """What an entry of the provider's list says, which is read like the record of a look-up."""
    if profile.read is None:
        return read_job(entry, root=root)
    return _read(profile, profile.read, entry, entry, root)


def read_callback(profile: Profile, document: Mapping[str, object]) -> JobReport:
    """What the body of a callback says."""
    rules = profile.callback
    if profile.read is None:
        return read_job(document)
    return _read(profile, profile.read_of_callback, _record_of(profile, document), document, None, rules)


def read_callback_news(profile: Profile, document: Mapping[str, object]) -> JobNews:
    """The part of `read_callback` that is accepted from a callback; it is called for each one."""
    rules = profile.callback
    read = profile.read_of_callback
    record = _decode_texts(_record_of(profile, document), read)
    word = _status_word(read, record, document)
    state = _state(read, word, record, document, has_clip=False)
    status_word = word if state is not JobState.UNKNOWN else redact(word)
    ids, reference = _ids(profile, read, record, document, rules), text_of(_find(rules.reference, record, document))
    return JobNews(job_ids=ids, state=state, status_word=status_word, reference=reference)


def read_words(profile: Profile, document: Mapping[str, object]) -> dict[str, object]:
    """What a second GET may name from the first one's record, as ``{read.file_id}``: its plain values."""
    record = record_in(profile, document)
    values = record.items() if isinstance(record, Mapping) else ()
    return {f"read.{key}": value for key, value in values if isinstance(value, str | int)}


def challenge_in(profile: Profile, document: Mapping[str, object]) -> str | None:
    """What the provider wants to be sent back before the job exists, if this body asks for it."""
    challenge = profile.callback.challenge
    return text_of(read_path(challenge.path).find(document, document)) if challenge else None


def _record_of(profile: Profile, document: Mapping[str, object]) -> object:
    """A callback's record, with or without the envelope: some providers send either."""
    rules = profile.callback
    if rules.root is not None:
        record = read_path(rules.root).find(document, document)
        return document if record is None else record
    if rules.body == "get" and (inside := record_in(profile, document)) is not None:
        return inside
    return document


def _read(
    profile: Profile,
    read: Read,
    record: object,
    body: Mapping[str, object],
    root: str | None,
    rules: CallbackRules | None = None,
) -> JobReport:
    record = _decode_texts(record, read)
    word = _status_word(read, record, body)
    then = read.then.clip if read.then else None
    clip = _address(read.clip, record, body, root) or _address(then, record, body, root)
    state = _state(read, word, record, body, has_clip=clip is not None)
    ids = _ids(profile, read, record, body, rules)
    if state is JobState.SUCCEEDED and clip is None and ids:
        clip = _usual_address(read.clip_at, ids[0], root)
    return JobReport(
        job_ids=ids,
        state=state,
        status_word=redact(word),
        video_url=clip,
        last_frame_url=_address(read.last_frame, record, body, root),
        error=_error(profile, read.error, record, body, state, _status_family(read, word)),
        **_facts(read, record, body),
        **_times(read.times, record, body),
    )


def _status_word(read: Read, record: object, body: object) -> str | None:
    """The provider's word; ``done: true`` is one, too."""
    value = _find(read.status, record, body)
    return str(value).lower() if isinstance(value, bool) else word_of(value)


def _decode_texts(record: object, read: Read) -> object:
    """*record* with the texts that hold JSON replaced by their values."""
    for place in read.decode:
        text = read_path(place).find(record, record)
        if isinstance(text, str) and isinstance(record, dict) and place in record:
            record = {**record, place: _json(text)}
    return record


def _json(text: str) -> object:
    """What *text* holds, within the limits of the body that it was in: escaping may hide how much it is."""
    if len(text) > COMMAS_MAX and text.count(",") > COMMAS_MAX:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _state(read: Read, word: str | None, record: object, body: object, *, has_clip: bool) -> JobState:
    if word is not None and any(_says_yes(read_path(path).find(record, body)) for path in read.failed_if):
        return JobState.FAILED
    for rule in read.states_if:
        if _holds(rule, record, body):
            return JobState(rule.state)
    if word is None:
        return JobState.SUCCEEDED if has_clip and read.then is not None else JobState.UNKNOWN
    return read.state_of.get(word.strip().lower(), JobState.UNKNOWN)


def _holds(rule: StateRule, record: object, body: object) -> bool:
    if rule.has is not None and read_path(rule.has).find(record, body) is None:
        return False
    if rule.has is not None and rule.path is None:
        return True
    value = read_path(rule.path or "@").find(record, body)
    if rule.equals is not None:
        return value is not None and str(value).lower() == str(rule.equals).lower()
    says = (rule.says or "").lower().strip("*")
    return isinstance(value, str) and bool(says) and says in value.lower()


def _says_yes(value: object) -> bool:
    return value is not None and value is not False and value != 0


def _ids(profile: Profile, read: Read, record: object, body: object, rules: CallbackRules | None) -> tuple[str, ...]:
    paths = (read.id, rules.also_id if rules else None, profile.create.id if read.id is None else None)
    ids = (text_of(value) for path in paths if path for value in read_path(path).all(record, body))
    return tuple(dict.fromkeys(one for one in ids if one is not None and len(one) <= JOB_ID_CHARACTERS_MAX))


def _address(path: str | None, record: object, body: object, root: str | None) -> str | None:
    if not path:
        return None
    texts: Iterator[object] = read_path(path).all(record, body)
    return next((url for text in texts if isinstance(text, str) and (url := read_address(text, root=root))), None)


def _usual_address(template: str | None, job_id: str, root: str | None) -> str | None:
    """The address of that job's clip according to the profile, whatever the answer names."""
    if template is None or root is None:
        return None
    try:
        address = fill_address(template, {"id": job_id})
    except RequestInvalid:  # The id cannot be part of an address.
        return None
    return f"{root}{address}" if address.startswith("/") else address


def _error(
    profile: Profile, paths: ErrorPaths | None, record: object, body: object, state: JobState, family: Family | None
) -> JobError | None:
    if state not in _FAILURES:
        return None
    error = error_of(profile, record, body, paths=paths, status=None)
    return JobError(code=error.code, message=error.message, family=_OF_STATE.get(state) or family or error.family)


def _status_family(read: Read, word: str | None) -> Family | None:
    families = {str(each).lower(): family for each, family in read.status_family.items()}
    family = families.get(word.lower()) if word else None
    return Family(family) if family else None


def _facts(read: Read, record: object, body: object) -> dict[str, Any]:
    def at(fact: Fact) -> object:
        return _find(read.facts.get(fact), record, body)

    usage = at("usage")
    return {
        "seed": integer_of(at("seed")),
        "duration_s": _duration(at("duration"), at("frames"), at("fps")),
        "frames": integer_of(at("frames")),
        "frames_per_second": number_of(at("fps")),
        "resolution": word_of(at("resolution")),
        "ratio": word_of(at("ratio")),
        "model": word_of(at("model")),
        "cost": number_of(at("cost")),
        "usage": mapping_of(usage) or ({} if usage is None else {"usage": usage}),
    }


def _duration(duration: object, frames: object, fps: object) -> float | None:
    seconds = number_of(duration.removesuffix("s") if isinstance(duration, str) else duration)
    if seconds is not None and seconds > 0:
        return seconds
    count, rate = number_of(frames), number_of(fps)
    return count / rate if count and rate and count > 0 and rate > 0 else None


def _times(times: Times | None, record: object, body: object) -> dict[str, Any]:
    if times is None:
        return {}
    return {
        "created": moment_of(_find(times.created, record, body)),
        "updated": moment_of(_find(times.updated, record, body)),
    }


def moment_of(value: object) -> datetime | None:
    """A number of seconds or milliseconds, or an ISO 8601 date."""
    if (moment := time_of(value)) is not None or not isinstance(value, str):
        return moment
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _find(path: str | None, record: object, body: object) -> object:
    return read_path(path).find(record, body) if path else None
