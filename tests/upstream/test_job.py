"""Every documented shape of a job description is read, and what is not understood is never final."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framerelay.upstream.families import Family
from framerelay.upstream.job import read_job, read_news
from framerelay.upstream.wire import JobState, read_state

CLIP = "https://cdn.example/clip.mp4?sig=1"
FRAME = "https://cdn.example/last.png?sig=2"


@pytest.mark.parametrize(
    "videos",
    [
        [CLIP],
        CLIP,
        [{"url": CLIP}],
        [{"video": {"url": CLIP}}],
        {"url": CLIP},
        [{"video": CLIP}],
        [{"id": "1", "url": CLIP}],
    ],
    ids=["strings", "single string", "objects", "nested", "single object", "named", "with id"],
)
def test_a_clip_is_found_in_each_form_of_output_videos(videos: object) -> None:
    """The page types ``videos[]`` as "video" without saying what that is."""
    output = {"task_id": "job_1", "status": "succeeded", "videos": videos, "last_frame_url": FRAME}

    report = read_job({"id": "job_1", "status": "processing", "output": output})

    assert (report.video_url, report.last_frame_url, report.state) == (CLIP, FRAME, JobState.SUCCEEDED)


def test_arks_own_form_is_read_whole() -> None:
    """The capture of the LAS page: both spellings of the rate, frames instead of duration, a null file_url."""
    report = read_job(
        {
            "framesPerSecond": 24,
            "id": "cgt-1",
            "model": "doubao-seedance-1-0-pro-250528",
            "status": "succeeded",
            "content": {"video_url": CLIP, "last_frame_url": FRAME, "file_url": None},
            "usage": {"completion_tokens": 295800},
            "frames": 145,
            "framespersecond": 24,
            "created_at": 1763555062,
            "updated_at": 1763555155,
            "seed": 655,
            "ratio": "9:16",
            "resolution": "1080p",
            "revised_prompt": "rain",
        }
    )

    assert report.job_ids == ("cgt-1",)
    assert (report.video_url, report.last_frame_url) == (CLIP, FRAME)
    assert (report.seed, report.frames, report.frames_per_second, report.duration_s) == (655, 145, 24.0, 145 / 24)
    assert (report.ratio, report.resolution, report.usage) == ("9:16", "1080p", {"completion_tokens": 295800})
    assert datetime.fromtimestamp(1763555062, tz=UTC) == report.created
    assert report.error is None
    assert report.unknown == {"revised_prompt": "rain"}


def test_a_failed_job_carries_code_message_and_family() -> None:
    """Ark's failed job has neither content nor usage."""
    error = {"code": "OutputVideoSensitiveContentDetected.Violence", "message": "The request failed."}

    report = read_job({"id": "cgt-1", "status": "failed", "error": error})

    assert report.error is not None
    assert (error["code"], error["message"]) == (report.error.code, report.error.message)
    assert Family.VIDEO_MODERATED is report.error.family


@pytest.mark.parametrize(
    ("document", "family"),
    [
        ({"status": "failed"}, Family.UNKNOWN),
        ({"status": "failed", "error": "out of memory"}, Family.UNKNOWN),
        ({"status": "nsfw"}, Family.VIDEO_MODERATED),
        ({"status": "expired"}, Family.EXPIRED),
        ({"status": "Canceled"}, Family.CANCELLED),
        ({"output": {"task_status": "FAILED", "code": "InternalError.Algo", "message": "x"}}, Family.SERVER),
    ],
)
def test_every_end_but_success_has_an_error(document: dict[str, object], family: Family) -> None:
    """The caller need not ask twice: final and not succeeded means that there is an error with a family."""
    report = read_job(document)

    assert report.error is not None
    assert family is report.error.family


def test_a_body_wrapped_in_data_is_read_like_a_bare_one() -> None:
    """Gateways answer ``{"code": 200, "data": {…}}``; the code there is no error."""
    report = read_job({"code": 200, "data": {"task_id": 17, "status": "success", "output": {"videos": [CLIP]}}})

    assert (report.job_ids, report.state, report.video_url) == (("17",), JobState.SUCCEEDED, CLIP)


def test_every_id_is_kept_and_that_of_the_create_answer_is_first() -> None:
    """A callback may name the job by any of them."""
    report = read_job({"task_id": "t", "id": "job_1", "output": {"task_id": "inner", "id": "job_1"}})

    assert report.job_ids == ("job_1", "t", "inner")


def test_success_without_a_clip_is_reported_as_such() -> None:
    """Not turned into a failure here: the caller decides to look again."""
    report = read_job({"id": "job_1", "status": "succeeded", "output": {"videos": []}})

    assert (report.state, report.video_url, report.error) == (JobState.SUCCEEDED, None, None)


def test_what_is_not_a_url_is_not_a_clip() -> None:
    """Some workers put the bytes themselves there, or a path of their own disk."""
    report = read_job({"status": "succeeded", "output": {"videos": ["/tmp/clip.mp4", {"data": "AAAAIGZ0eXA="}]}})

    assert report.video_url is None


@pytest.mark.parametrize("word", ["archived", "", "  ", "queue-lost", "partially_succeeded", "不明"])
def test_an_unknown_word_is_not_final(word: str) -> None:
    """A false end triggers side effects; a false "still running" only another look."""
    assert JobState.UNKNOWN is read_state(word)
    assert not read_state(word).is_final


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("Processing", JobState.RUNNING),
        ("IN PROGRESS", JobState.RUNNING),
        ("in-progress", JobState.RUNNING),
        ("NOT_START", JobState.QUEUED),
        ("COMPLETED", JobState.SUCCEEDED),
        ("succeed", JobState.SUCCEEDED),
        ("1", JobState.SUCCEEDED),
        ("Rejected", JobState.FAILED),
        ("timeout", JobState.EXPIRED),
        ("canceled", JobState.CANCELLED),
    ],
)
def test_gateways_words_are_understood_in_any_case(word: str, state: JobState) -> None:
    """MiniMax mixes ``success`` and ``Success``; DashScope shouts."""
    assert state is read_state(word)


def test_fields_of_wrong_types_count_as_not_given() -> None:
    """A reader that raises would turn a provider's slip into a lost clip."""
    report = read_job(
        {
            "id": ["x"],
            "status": {"word": "succeeded"},
            "seed": "abc",
            "duration": float("nan"),
            "created_at": 10**400,
            "usage": 3,
            "error": [],
            "output": "not a url",
            "frames": True,
        }
    )

    assert (report.job_ids, report.seed, report.duration_s, report.created) == ((), None, None, None)
    assert JobState.UNKNOWN is report.state


def test_milliseconds_are_distinguished_from_seconds() -> None:
    """Kling counts in milliseconds."""
    assert read_job({"created_at": 1763555062000}).created == read_job({"created_at": 1763555062}).created


def test_facts_in_the_metadata_of_the_output_are_read() -> None:
    """AI Video API keeps them there, next to a list of plain URLs."""
    output = {"urls": [CLIP], "metadata": {"seed": 7, "duration": "5", "resolution": "720p"}}

    report = read_job({"status": "completed", "output": output})

    assert (report.video_url, report.seed, report.duration_s, report.resolution) == (CLIP, 7, 5.0, "720p")


WORDS = ["succeeded", "FAILED", "running", "no such word", "", " ", "1", 1, 0, None, True, {"status": "ok"}]
IDS = ["job_1", "job_2", " job_1 ", "", 7, None, ["job_1"]]
fields = {key: st.sampled_from(IDS) for key in ("id", "task_id", "job_id", "taskId")}
fields |= {key: st.sampled_from(WORDS) for key in ("status", "task_status", "state")}
levels = st.fixed_dictionaries({}, optional=fields)
inner = {key: levels for key in ("output", "content", "result", "task_result", "metadata")}
jobs = st.builds(lambda own, more: own | more, levels, st.fixed_dictionaries({}, optional=inner))
documents = st.builds(lambda own, more: own | more, jobs, st.fixed_dictionaries({}, optional={"data": jobs}))


@settings(max_examples=300)
@given(document=documents)
def test_the_news_of_a_callback_are_those_of_the_whole_report(document: dict[str, object]) -> None:
    """A callback and the look-up that it causes must speak of the same job, in the same state."""
    news, report = read_news(document), read_job(document)

    assert (news.job_ids, news.state, news.status_word) == (report.job_ids, report.state, report.status_word)
