"""Refusals inside HTTP 200: told apart from acceptance by the body alone, and never where both can be meant."""

import gzip
import json
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from framerelay.processors.problems import problem_of
from framerelay.runs.errors import (
    FrameRelayError,
    OutcomeUnknown,
    UpstreamAnswerUnreadable,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamUnavailable,
)
from framerelay.runs.model import Family
from framerelay.upstream.client import JobsClient
from framerelay.upstream.complaints import complaint_in
from framerelay.upstream.job import read_job, read_news
from framerelay.upstream.order import Order
from framerelay.upstream.wire import JobState
from framerelay.upstream.words import CODE_CHARACTERS_MAX, MESSAGE_CHARACTERS_MAX, cut

pytestmark = pytest.mark.anyio

Json = dict[str, Any]


async def submit(provider: Any, answer: Response) -> str:
    provider.answers = [answer]
    async with JobsClient(provider.url, "sk-of-ours") as client:
        return (await client.submit(Order(model="m", input={"prompt": "rain"}, take="take-1"))).job_id


async def failure_of_submit(provider: Any, answer: Response) -> FrameRelayError:
    with pytest.raises(FrameRelayError) as failure:
        await submit(provider, answer)
    return failure.value


async def failure_of_look_up(provider: Any, answer: Response) -> FrameRelayError:
    provider.answers = [answer]
    async with JobsClient(provider.url, "sk-of-ours") as client:
        with pytest.raises(FrameRelayError) as failure:
            await client.get_job("job_1")
    return failure.value


REFUSED = [
    ({"code": 4001, "message": "prompt is too long"}, "prompt is too long", Family.UNKNOWN),
    ({"code": 401, "msg": "no such key"}, "no such key", Family.ACCOUNT),
    ({"code": 402, "msg": "credits"}, "credits", Family.ACCOUNT),
    ({"code": "InvalidParameter", "message": "duration"}, "duration", Family.REQUEST_INVALID),
    ({"code": "fail_to_submit", "message": "余额不足", "data": None}, "余额不足", Family.ACCOUNT),
    ({"success": False, "message": "model is closed"}, "model is closed", Family.UNKNOWN),
    ({"code": 0, "success": False, "msg": "no"}, "no", Family.UNKNOWN),
    ({"error": "face in the picture"}, "face in the picture", Family.UNKNOWN),
    ({"error": {"code": "InputTextSensitiveContentDetected", "message": "x"}}, "x", Family.TEXT_MODERATED),
    ({"error": {"message": "bad", "type": "invalid_request_error"}}, "bad", Family.REQUEST_INVALID),
    ({"errors": [{"message": "ratio"}]}, "ratio", Family.UNKNOWN),
    ({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, "balance", Family.ACCOUNT),
    (
        {"Response": {"Error": {"Code": "InvalidParameter", "Message": "ratio"}, "RequestId": "r-1"}},
        "ratio",
        Family.REQUEST_INVALID,
    ),
    ({"ResponseMetadata": {"RequestId": "r-1", "Error": {"Code": "X", "Message": "closed"}}}, "closed", Family.UNKNOWN),
    ({"ErrCode": 500044, "ErrMsg": "closed", "Resp": None}, "closed", Family.UNKNOWN),
    ({"code": 200, "data": {"error": "blocked", "task_id": ""}}, "blocked", Family.UNKNOWN),
    ({"status": "failed", "message": "nothing left"}, "nothing left", Family.UNKNOWN),
    ({"status": 422, "message": "seed"}, "seed", Family.REQUEST_INVALID),
    ({"code": 1008, "message": "quota is used up", "request_id": "r-1", "trace_id": "t"}, "used up", Family.QUOTA),
]


@pytest.mark.parametrize(("document", "words", "family"), REFUSED, ids=[json.dumps(each[0])[:40] for each in REFUSED])
async def test_a_submit_that_says_no_with_200_is_refused_in_its_words(
    provider: Any, document: Json, words: str, family: Family
) -> None:
    """It was held for two days as an outcome that nobody knows, and its words were lost."""
    error = await failure_of_submit(provider, JSONResponse(document))

    assert isinstance(error, UpstreamRejected)
    assert words in error.message
    assert family is problem_of(error).family


@pytest.mark.parametrize(
    "document",
    [
        {"code": 429, "message": "slow down"},
        {"code": 1002, "message": "Rate limit exceeded"},
        {"error": {"code": "RateLimitExceeded.EndpointRPMExceeded", "message": "x"}},
        {"success": False, "message": "请求过于频繁"},
    ],
)
async def test_one_that_asks_for_patience_with_200_is_put_off(provider: Any, document: Json) -> None:
    """Nothing was accepted, and waiting helps; what Retry-After asks for counts."""
    error = await failure_of_submit(provider, JSONResponse(document, headers={"Retry-After": "7"}))

    assert isinstance(error, UpstreamRateLimited)
    assert error.retry_after_s == 7.0


ACCEPTED = [
    {"id": "job_1", "code": 4001, "message": "warning"},
    {"code": 0, "message": "SUCCEED", "data": {"task_id": "job_1"}},
    {"code": 200, "msg": "success", "data": {"taskId": "job_1"}},
    {"code": "success", "data": {"task_id": "job_1"}},
    {"id": "job_1", "error": {"code": "x", "message": "y"}, "status": "failed"},
    {"task_id": "job_1", "success": False},
    {"error": None, "id": "job_1", "status": "starting"},
]


@pytest.mark.parametrize("document", ACCEPTED, ids=json.dumps)
async def test_an_answer_with_an_id_is_an_accepted_job_whatever_else_it_says(provider: Any, document: Json) -> None:
    """A job that is paid for is never taken for refused."""
    assert await submit(provider, JSONResponse(document)) == "job_1"


UNCLEAR = [
    {},
    {"code": 0, "message": "余额不足"},
    {"code": 1, "message": "no balance"},
    {"code": 10000, "message": "Success", "data": {}},
    {"success": True},
    {"message": "accepted"},
    {"name": "operations/17", "done": False},
    {"code": 4001, "message": "late", "data": {"video_id": 17}},
    {"code": 4001, "message": "late", "taskNo": "t-17"},
    {"code": 4001, "message": "late", "data": "0af3-17"},
    {"code": 500, "message": "Internal error"},
    {"code": "InternalServiceError", "message": "x"},
    {"code": 504, "message": "upstream timed out"},
    {"code": 408, "message": "timed out"},
    {"error": {}},
    {"error": "", "errors": []},
    {"error": {"code": 0, "message": ""}},
]


@pytest.mark.parametrize("document", UNCLEAR, ids=json.dumps)
async def test_what_can_be_read_both_ways_stays_unknown(provider: Any, document: Json) -> None:
    """Along with a code that means success to some, an id under another name, or trouble behind the gateway."""
    assert isinstance(await failure_of_submit(provider, JSONResponse(document)), OutcomeUnknown)


@pytest.mark.parametrize(
    ("answer", "retry_after_s"),
    [
        (JSONResponse({"error": {"code": "ServiceUnavailable", "message": "busy"}}, 503), None),
        (JSONResponse({"code": 503, "msg": "busy"}, 503, headers={"Retry-After": "3"}), 3.0),
        (JSONResponse({"message": "maintenance"}, 503), None),
        (Response("<html>busy</html>", 503, headers={"Retry-After": "5"}), 5.0),
        (JSONResponse({"code": 503, "message": "service unavailable"}), None),
    ],
)
async def test_a_503_in_the_providers_own_words_accepted_nothing(
    provider: Any, answer: Response, retry_after_s: float | None
) -> None:
    """RFC 9110, 15.6.4. It was held for two days as an outcome that nobody knows."""
    error = await failure_of_submit(provider, answer)

    assert isinstance(error, UpstreamUnavailable)
    assert error.retry_after_s == retry_after_s


async def test_a_503_can_be_declared_unclear(provider: Any) -> None:
    """A setting, for those that accept a job and say so all the same."""
    busy = {"code": "ServiceUnavailable", "message": "busy"}
    provider.answers = [JSONResponse({"error": busy}, 503), JSONResponse(busy)]
    async with JobsClient(provider.url, "sk", refuses_by_503=False) as client:
        for _ in range(2):
            with pytest.raises(OutcomeUnknown, match="busy"):
                await client.submit(Order(model="m", input={"prompt": "rain"}, take="take-1"))


@pytest.mark.parametrize(
    "answer",
    [
        Response("<html>503 Service Temporarily Unavailable</html>", 503),
        Response("", 503),
        JSONResponse({}, 503),
        JSONResponse([1], 503),
        JSONResponse({"error": {"code": "InternalServiceError", "message": "x"}}, 500),
        JSONResponse({"message": "x"}, 502),
        JSONResponse({"message": "x"}, 504, headers={"Retry-After": "1"}),
    ],
)
async def test_any_other_trouble_behind_a_proxy_is_unknown(provider: Any, answer: Response) -> None:
    """It may have passed the submit on."""
    assert isinstance(await failure_of_submit(provider, answer), OutcomeUnknown)


ABSENT = [
    {"code": 404, "message": "x"},
    {"code": "task_not_exist", "message": "gone", "data": None},
    {"code": 4004, "msg": "Task does not exist"},
    {"error": "task not found"},
    {"code": 200, "msg": "task not exist", "data": None},
    {"status": "error", "message": "Job job_1 was not found"},
    {"code": 400, "msg": "任务不存在"},
    {"error": {"code": "NotFound", "message": "no such job"}},
]


@pytest.mark.parametrize("document", ABSENT, ids=json.dumps)
async def test_a_look_up_that_says_no_such_job_with_200_is_a_404(provider: Any, document: Json) -> None:
    """It was "generating" for ever, and nothing was shown."""
    error = await failure_of_look_up(provider, JSONResponse(document))

    assert isinstance(error, UpstreamRejected)
    assert error.status == 404
    assert "with an error inside" in error.message


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"code": 429, "message": "slow down"}, UpstreamRateLimited),
        ({"code": 500, "message": "internal"}, UpstreamUnavailable),
        ({"code": 4003, "message": "no rights"}, UpstreamRejected),
        ({"hello": "world"}, UpstreamAnswerUnreadable),
    ],
)
async def test_a_look_up_that_describes_no_job_says_nothing_about_one(
    provider: Any, document: Json, kind: type[Exception]
) -> None:
    """The reason is shown, and the job is asked about again."""
    assert type(await failure_of_look_up(provider, JSONResponse(document))) is kind


async def test_a_job_with_a_status_is_read_whatever_code_its_envelope_has(provider: Any) -> None:
    """Codes of success are many."""
    provider.answers = [JSONResponse({"code": 7777, "data": {"task_id": "job_1", "status": "running"}})]
    async with JobsClient(provider.url, "sk") as client:
        assert (await client.get_job("job_1")).state is JobState.RUNNING


DONE_WITH_AN_ERROR: list[Json] = [
    {"id": "job_1", "status": "completed", "error": {"code": "moderation_blocked", "message": "a face"}},
    {"id": "job_1", "status": "succeeded", "error": "a face"},
    {"code": 200, "data": {"task_id": "job_1", "status": "success", "error": {"message": "a face"}}},
    {"id": "job_1", "status": "completed", "output": {"videos": [], "error": "a face"}},
]


@pytest.mark.parametrize("document", DONE_WITH_AN_ERROR, ids=json.dumps)
def test_a_job_that_is_done_with_an_error_and_no_clip_has_failed(document: Json) -> None:
    """Some providers have no other word for it; it was looked up on and on for a clip."""
    report = read_job(document)

    assert report.state is JobState.FAILED
    assert report.error is not None
    assert report.error.message == "a face"
    assert read_news(document).state is JobState.FAILED


@pytest.mark.parametrize(
    "extra",
    [
        {"error": None},
        {"error": ""},
        {"error": {}},
        {"error": {"code": 0, "message": "", "raw_message": ""}},
        {"error": {"code": "success", "message": "ok"}},
        {"error": "none"},
        {"error": "a warning", "output": {"videos": ["https://cdn.example/v.mp4"]}},
        {"message": "success"},
    ],
    ids=json.dumps,
)
def test_an_empty_error_is_no_error(extra: Json) -> None:
    """Nor does an error next to a clip: the clip was paid for, and is there."""
    assert read_job({"id": "job_1", "status": "completed", **extra}).state is JobState.SUCCEEDED


async def test_words_of_others_are_cut_wherever_they_come_in(provider: Any) -> None:
    """Three megabytes of them became twelve in Redis, and lists of 150."""
    long = "x" * 1_500_000
    document = {"id": "job_1", "status": "failed", "error": {"code": long, "message": long}}
    report = read_job({**document, "model": long, "resolution": long})
    word = read_job({"id": "j", "status": long}).status_word or ""
    error_of_submit = await failure_of_submit(provider, JSONResponse({"error": {"code": long, "message": long}}, 400))
    within = await failure_of_submit(provider, JSONResponse({"code": long, "message": long}))
    header = {"X-Request-Id": "r" * 5000}
    error_of_look_up = await failure_of_look_up(provider, JSONResponse({"message": "m"}, 404, headers=header))

    assert report.error is not None
    assert (len(report.error.message or ""), len(report.error.code or "")) == (500, 100)
    assert (len(report.model or ""), len(report.resolution or ""), len(word)) == (100, 100, 100)
    for error in (error_of_submit, within):
        assert len(error.message) < MESSAGE_CHARACTERS_MAX + CODE_CHARACTERS_MAX + 100
        assert isinstance(error, UpstreamRejected)
        assert len(error.upstream_code or "") == CODE_CHARACTERS_MAX
    assert len(error_of_look_up.message) < 200
    assert read_job({"id": "j" * 513, "task_id": "t"}).job_ids == ("t",)
    assert read_job({"status": "completed", "video_url": "https://a.example/" + long}).video_url is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("  a  ", "a"), ("a" * 500, "a" * 500), ("a" * 501, "a" * 499 + "…"), ("a" + " " * 4000 + "b", "a…"), ("", "")],
)
def test_what_is_cut_shows_it(text: str, expected: str) -> None:
    """By the sign that readers know."""
    assert cut(text) == expected


ADDRESSES = [
    ("https://cdn.example/v.mp4\n", "https://cdn.example/v.mp4"),
    ("\r\n  https://cdn.example/v.mp4?a=1\t", "https://cdn.example/v.mp4?a=1"),
    ("https://cdn.example/a\nb.mp4", "https://cdn.example/ab.mp4"),
    ("\ufeffhttps://cdn.example/v.mp4\u200b", "https://cdn.example/v.mp4"),
    ("/outputs/v.mp4", "https://api.example/outputs/v.mp4"),
    ("//cdn.example/v.mp4", "https://cdn.example/v.mp4"),
    ("outputs/v.mp4?sig=1", "https://api.example/base/outputs/v.mp4?sig=1"),
    ("./v.webm", "https://api.example/base/v.webm"),
    ("https://cdn.example/我的 v.mp4", "https://cdn.example/我的 v.mp4"),
    ("//[half/v.mp4", None),
    ("processing", None),
    ("see https://cdn.example/v.mp4", None),
    ("ftp://cdn.example/v.mp4", None),
    ("data:video/mp4;base64,AAAA", None),
]


@pytest.mark.parametrize(("text", "expected"), ADDRESSES)
def test_addresses_are_read_as_they_were_meant(text: str, expected: str | None) -> None:
    """A line break around one failed a shot that was paid for; a relative one never ended."""
    document = {"status": "completed", "output": {"videos": [{"url": text}], "last_frame_url": text}}
    report = read_job(document, root="https://api.example/base")

    assert (report.video_url, report.last_frame_url) == (expected, expected)


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip", "deflate", "br", "x-unknown"])
async def test_an_encoded_answer_is_refused_before_it_is_unpacked(provider: Any, encoding: str) -> None:
    """A kilobyte of it became 1.4 GB; after a submit nobody knows what it says."""
    body = gzip.compress(gzip.compress(b'{"id": "job_1", "status": "running"}' + b" " * 50_000_000))
    answer = Response(body, headers={"Content-Encoding": encoding})

    assert isinstance(await failure_of_look_up(provider, answer), UpstreamAnswerUnreadable)
    assert isinstance(await failure_of_submit(provider, answer), OutcomeUnknown)


async def test_an_encoded_refusal_is_one_by_its_status(provider: Any) -> None:
    """Its words are not unpacked; the status says that nothing was accepted."""
    headers = {"Content-Encoding": "gzip"}
    body = gzip.compress(b'{"error": {"message": "no"}}')

    assert isinstance(await failure_of_submit(provider, Response(body, 422, headers=headers)), UpstreamRejected)
    assert isinstance(await failure_of_submit(provider, Response(body, 429, headers=headers)), UpstreamRateLimited)
    assert isinstance(await failure_of_submit(provider, Response(body, 503, headers=headers)), OutcomeUnknown)


async def test_identity_is_no_encoding(provider: Any) -> None:
    """It is what we ask for."""
    assert await submit(provider, JSONResponse({"id": "job_1"}, headers={"Content-Encoding": "Identity"})) == "job_1"


async def test_a_byte_order_mark_before_an_answer_is_read_over(provider: Any) -> None:
    """Some gateways write one; a submit must not be held for it."""
    body = b"\xef\xbb\xbf" + json.dumps({"id": "job_1", "status": "running"}).encode()

    assert await submit(provider, Response(body)) == "job_1"
    error = await failure_of_submit(provider, Response(b"\xef\xbb\xbf" + b'{"error": {"message": "no"}}', 400))
    assert "no" in error.message


def test_a_good_answer_has_no_complaint() -> None:
    """Every shape of success that is known to us."""
    for document in ACCEPTED[1:4]:
        assert complaint_in(document) is None, document
