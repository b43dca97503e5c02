"""Callbacks that are read by the profile of their sender: their states and ids, questions, answers and proofs."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from framerelay.receiver.callbacks.batch import Batch
from framerelay.runs.tokens import TakeAddress
from framerelay.store.inbox import Inbox
from framerelay.upstream.profile_file import load_shipped, profile_names
from tests.receiver.door.test_fast_path import Conversation, post

pytestmark = pytest.mark.anyio

RUN = "run_" + "a" * 24
KEY = b"a secret of some thirty bytes..."
CALLERS = [name for name in profile_names() if load_shipped(name).callback.on in ("create", "query")]


@pytest.fixture
def calling(tmp_path: Path, start_relay: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``async with calling("fal", KLING_SECRET="…") as relay``: a receiver that knows these providers, unsigned."""

    def start(*names: str, providers: str | None = None, **environ: str) -> Any:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        lines = []
        for name in names:  # As it is, but for the proof: some need public keys of a server far away.
            mine = f"profile: 1\nid: {name}\nextends: {name}\ncallback: {{signature: none}}\n"
            (tmp_path / f"{name}.yaml").write_text(mine, encoding="utf-8")
            lines.append(f"  {name}: {{profile: ./{name}.yaml}}\n")
        (tmp_path / "framerelay.yaml").write_text(providers or "providers:\n" + "".join(lines), encoding="utf-8")
        return start_relay("http://127.0.0.1:1", worker=False)

    return start


def address(relay: Any, provider: str | None, take: int = 1) -> str:
    """The path of the callbacks of a take that *provider* makes."""
    end = int(time.time()) + 600
    address = TakeAddress(run_id=RUN, shot_id="s1", take=take, ends_at=end, provider=provider)
    return f"/webhook/{relay.tokens.mint(address)}"


async def test_a_question_before_the_job_is_given_back_and_says_nothing(calling: Any, queued_tasks: Any) -> None:
    """The create fails without it; what else comes there is a callback like any other."""
    async with calling("hailuo") as relay:
        path = address(relay, "hailuo")
        async with httpx.AsyncClient(base_url=relay.settings.listen_url, trust_env=False) as http:
            asked_response = await http.post(
                path, json={"challenge": "9f-é"}
            )  # Under a name that no document can know.
        assert (asked_response.status_code, asked_response.json()) == (200, {"challenge": "9f-é"})
        assert (await relay.api.get("/v1/callbacks")).json()["data"] == []
        assert await queued_tasks() == []

        response = await relay.api.post(path, json={"task_id": "7", "status": "Success", "file_id": "8"})
        assert response.json() == {"received": True, "repeated": False}
        ((_, task),) = await queued_tasks()
        assert (task["job_id"], task["state"]) == ("7", "succeeded")
        elsewhere = await relay.api.post(address(relay, None, take=2), json={"challenge": "x"})
        assert elsewhere.json() == {"received": True, "repeated": False}, "nobody else is echoed"


async def test_the_very_answer_that_a_provider_wants_is_given(calling: Any) -> None:
    """Again for a repeat: it would send it again otherwise. What cannot be read is refused as ever."""
    async with calling("pixverse") as relay:
        path, body = address(relay, "pixverse"), {"Resp": {"id": 1, "status": 1}}
        for _ in range(2):
            answer = await relay.api.post(path, json=body)
            assert (answer.status_code, answer.text) == (200, "ok")
            assert answer.headers["content-type"].startswith("text/plain")
        assert (await relay.api.post(path, content=b"not json")).status_code == 400


@pytest.mark.parametrize("status", [202, 204])
async def test_the_very_status_that_a_provider_wants_is_given(calling: Any, tmp_path: Path, status: int) -> None:
    """By either way; the callback is kept as ever."""
    mine = f"profile: 1\nid: mine\nextends: kling\ncallback: {{signature: none, answer: {{status: {status}}}}}\n"
    (tmp_path / "mine.yaml").write_text(mine, encoding="utf-8")
    async with (
        calling(providers="providers: {mine: {profile: ./mine.yaml}}") as relay,
        httpx.AsyncClient(base_url=relay.settings.listen_url, trust_env=False) as http,  # No document knows of it.
    ):
        ways: list[dict[str, str]] = [{}, {"Content-Encoding": "identity"}]
        for take, more in enumerate(ways, 1):
            answer = await http.post(address(relay, "mine", take), json={"id": "7", "status": "failed"}, headers=more)
            assert (answer.status_code, bool(answer.content)) == (status, status != 204)
        assert len((await relay.api.get("/v1/callbacks")).json()["data"]) == 2


@pytest.mark.parametrize(
    ("body", "job_id", "state"),
    [
        (
            {"request_id": "r", "gateway_request_id": "g", "status": "OK", "payload": {"video": {"url": "https://v"}}},
            "r",
            "succeeded",
        ),
        ({"request_id": "r", "status": "ERROR", "error": "422", "payload": {"detail": []}}, "r", "failed"),
        (
            {"gateway_request_id": "g", "status": "OK", "payload": {"request_id": "x", "status": "ERROR"}},
            "g",
            "succeeded",
        ),
        ({"request_id": "r", "status": "succeeded", "payload": None}, "r", "unknown"),
        ({"request_id": "r", "payload": {"status": "OK"}}, "r", "unknown"),
    ],
)
async def test_states_and_ids_are_read_where_the_profile_says(
    calling: Any, queued_tasks: Any, body: dict[str, Any], job_id: str, state: str
) -> None:
    """fal's: at the whole body, in its own words, and not in the payload, which is the result."""
    async with calling("fal") as relay:
        assert (await relay.api.post(address(relay, "fal"), json=body)).status_code == 200
        ((name, task),) = await queued_tasks()
        assert (name, task["job_id"], task["state"]) == ("look_up", job_id, state)


def signed(content: bytes, key: bytes = KEY) -> dict[str, str]:
    stamp = str(int(time.time()))
    digest = hmac.digest(key, f"msg_1.{stamp}.".encode() + content, hashlib.sha256)
    value = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": value}


async def test_a_provider_that_storyboards_alone_name_has_to_prove_itself_too(calling: Any, queued_tasks: Any) -> None:
    """Its secret is in its usual variable; there is no line about it in the settings file."""
    body = json.dumps({"id": "7", "status": "succeeded"}).encode()
    secret = "whsec_" + base64.b64encode(KEY).decode()
    async with calling(providers="{}", KLING_WEBHOOK_SECRET=secret) as relay:  # Named by storyboards alone.
        assert (await relay.api.post(address(relay, "kling"), content=body)).status_code == 401
        assert (await relay.api.post(address(relay, "kling", 2), content=body, headers=signed(body))).status_code == 200
        assert {task["take"] for _, task in await queued_tasks()} == {2}


async def test_a_provider_with_a_secret_has_to_prove_itself(calling: Any, queued_tasks: Any) -> None:
    """What is not signed, or for another body, is refused with 401 and held, and nothing follows from it."""
    body = json.dumps({"id": "7", "status": "succeeded"}).encode()

    secret = "whsec_" + base64.b64encode(KEY).decode()
    lines = "providers: {mine: {profile: kling, webhook_secret_env: MY_SECRET}, open: {profile: kling}}"
    async with calling(providers=lines, MY_SECRET=secret) as relay:
        path = address(relay, "mine")
        wrong = [{}, signed(body + b" "), signed(body, b"another secret of thirty bytes..")]
        answers = [await relay.api.post(path, content=body, headers=headers) for headers in wrong]
        assert [answer.status_code for answer in answers] == [401] * 3
        assert await queued_tasks() == []
        records = (await relay.api.get("/v1/callbacks")).json()["data"]
        assert {each["outcome"] for each in records} == {"quarantined"}

        assert (await relay.api.post(path, content=body, headers=signed(body))).status_code == 200
        assert (await relay.api.post(address(relay, "open", take=2), content=body)).status_code == 200
        assert {task["take"] for _, task in await queued_tasks()} == {1, 2}


async def test_a_callback_of_a_provider_that_is_no_longer_there_is_a_reason_to_look(
    calling: Any, queued_tasks: Any
) -> None:
    """Its jobs may still be under way: what the body says is read as anybody's."""
    async with calling("fal") as relay:
        answer = await relay.api.post(address(relay, "gone"), json={"id": "7", "status": "succeeded"})
        assert answer.status_code == 200
        ((_, task),) = await queued_tasks()
        assert (task["job_id"], task["word"]) == ("7", "succeeded")


async def test_both_ways_read_every_callback_alike(
    calling: Any, queued_tasks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the shipped profiles give as examples, callbacks or not: the same answer and look-up by either way."""
    took: list[bool] = []
    read = Batch._read

    def watched(self: Batch, *arguments: Any) -> bool:
        took.append(read(self, *arguments))
        return took[-1]

    monkeypatch.setattr(Batch, "_read", watched)
    bodies = [
        (name, json.dumps(each.body).encode())
        for name in CALLERS
        for each in load_shipped(name).examples
        if isinstance(each.body, dict)
    ]
    async with calling(*CALLERS) as relay:
        talk = Conversation(*await asyncio.open_connection("127.0.0.1", relay.settings.port))
        for number, (name, body) in enumerate(bodies):
            short = await talk.ask(post(address(relay, name, 2 * number), body))
            long = await talk.ask(post(address(relay, name, 2 * number + 1), body, "Content-Encoding: identity"))
            assert (short[0], short[2]) == (long[0], long[2]), (name, body)
        talk.writer.close()
        tasks = {task["take"]: task for _, task in await queued_tasks()}

    assert len(bodies) > 50
    assert sum(took) >= len(bodies) / 2, "nearly all went the long way"
    for number, (name, body) in enumerate(bodies):
        one, other = (tasks.get(2 * number + way) for way in (0, 1))
        assert (one is None) == (other is None), (name, body)
        if one and other:
            readings = [{key: task.get(key) for key in ("job_id", "word", "state")} for task in (one, other)]
            assert readings[0] == readings[1], (name, body)


@pytest.mark.parametrize("more", [{}, {"Content-Encoding": "identity"}], ids=["quick", "long"])
@pytest.mark.parametrize(
    ("name", "body", "secret"),
    [
        ("kie", {"code": 200, "data": {"taskId": "7", "state": "success", "param": "{our prompt}"}}, "our prompt"),
        ("piapi", {"data": {"task_id": "7", "config": {"webhook_config": {"secret": "wd"}}}}, '"wd"'),
        ("xxd-aigw", {"taskNo": "7", "sign": "abcdef0123"}, "abcdef0123"),
        (
            "mine",
            {"task_id": "7", "items": [{"kind": "a", "s": "one"}, {"kind": "b", "s": "hid"}], "l": ["hid"]},
            "hid",
        ),
    ],
)
async def test_what_a_profile_says_is_secret_is_never_kept(
    calling: Any,
    queued_tasks: Any,
    redis: Any,
    tmp_path: Path,
    name: str,
    body: dict[str, Any],
    secret: str,
    more: dict[str, str],
) -> None:
    """By either way; what else the body says is kept, and read."""
    providers = _mine(tmp_path) if name == "mine" else None
    async with calling(*([] if providers else [name]), providers=providers) as relay:
        answer = await relay.api.post(address(relay, name), json=body, headers=more)
        assert answer.status_code == 200
        ((_, task),) = await queued_tasks()
        (entry,) = (await relay.api.get("/v1/callbacks")).json()["data"]
        record = await Inbox(redis, keep_s=60).find(entry["id"])

    assert task["job_id"] == "7"
    assert secret not in repr(record)
    assert b"[redacted]" in record.body or b"[secret]" in record.body


def _mine(folder: Path) -> str:
    redact = 'redact: ["items[kind=b].s", "l[0]", "not.there"]'
    text = f"profile: 1\nid: mine\nextends: kling-legacy\n{redact}\n"
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    return "providers:\n  mine: {profile: ./mine.yaml}\n"


async def test_a_question_is_given_back_letter_by_letter(calling: Any, queued_tasks: Any) -> None:
    """What looks like a key is hidden where it is stored, and the create fails without the exact word."""
    async with calling("hailuo") as relay:
        question = "sk-0123456789abcdef?token=0123456789"
        response = await _asking(relay, {"challenge": question})
        assert response.json() == {"challenge": question}
        assert await queued_tasks() == []


async def test_what_names_a_job_is_kept_though_it_asks_a_question(calling: Any, queued_tasks: Any) -> None:
    """A body of both kinds was answered and forgotten."""
    async with calling("hailuo") as relay:
        both = {"challenge": "why", "task_id": "7", "status": "Success", "file_id": "8"}
        assert (await _asking(relay, both)).json() == {"challenge": "why"}
        ((_, task),) = await queued_tasks()
        assert task["job_id"] == "7"


async def _asking(relay: Any, body: dict[str, str]) -> httpx.Response:
    """By a client of its own: the answer is under a name that no document can know."""
    async with httpx.AsyncClient(base_url=relay.settings.listen_url, trust_env=False) as http:
        return await http.post(address(relay, "hailuo"), json=body)
