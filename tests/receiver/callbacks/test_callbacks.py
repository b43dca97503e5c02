"""``POST /webhook/{token}``: kept once, queued once, answered at once; nothing in it is believed."""

import asyncio
import json
import socket
from contextlib import suppress
from typing import Any

import pytest

from framerelay.runs.tokens import HookAddress, TakeAddress, Tokens

pytestmark = pytest.mark.anyio

RUN = "run_" + "a" * 24
DONE = {
    "id": "job_1",
    "object": "job",
    "status": "succeeded",
    "output": {"status": "succeeded", "videos": ["https://cdn.example.com/v.mp4?X-Sig=abc"]},
}
ARK = {
    "id": "cgt-20260101-abc",
    "model": "doubao-seedance-1-5-pro",
    "status": "succeeded",
    "content": {"video_url": "https://ark.example.com/v.mp4", "last_frame_url": "https://ark.example.com/l.png"},
}


async def test_a_callback_is_kept_and_its_take_is_looked_up(
    relay: Any, take_address: Any, queued_tasks: Any, recent_callbacks: Any
) -> None:
    """200 means: the record can be read and the task waits in the queue."""
    answer = await relay.api.post(take_address("s1", 2), json=DONE)

    assert (answer.status_code, answer.json()) == (200, {"received": True, "repeated": False})
    (record,) = await recent_callbacks()
    about = {"job_id": "job_1", "word": "succeeded", "callback": record["id"], "received_at": record["received"]}
    assert await queued_tasks() == [("look_up", {"run": RUN, "shot": "s1", "take": 2, **about})]
    assert record["id"].startswith("cb_")
    assert {
        "object": "callback",
        "outcome": "accepted",
        "reason": None,
        "run": RUN,
        "shot": "s1",
        "take": 2,
        "hook": None,
        "job_id": "job_1",
        "status": "succeeded",
        "repeats": 0,
    }.items() <= record.items()
    assert json.loads(record["body"])["output"]["videos"] == ["https://cdn.example.com/v.mp4?[query]"]


async def test_the_sender_needs_no_key(relay: Any, take_address: Any) -> None:
    """The token is the key: a provider has no other."""
    answer = await relay.api.post(take_address(), json=DONE, headers={"Authorization": "Bearer wrong"})

    assert answer.status_code == 200


async def test_a_repeat_is_acknowledged_and_counted(
    relay: Any, take_address: Any, queued_tasks: Any, recent_callbacks: Any
) -> None:
    """Providers send again when an answer got lost; the second time is no second task."""
    answers = [(await relay.api.post(take_address(), json=DONE)) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert [answer.json()["repeated"] for answer in answers] == [False, True, True]
    assert len(await queued_tasks()) == 1
    assert [record["repeats"] for record in await recent_callbacks()] == [2]


async def test_fifty_copies_at_once_are_one_task(
    relay: Any, take_address: Any, queued_tasks: Any, recent_callbacks: Any
) -> None:
    """However they race."""
    answers = await asyncio.gather(*(relay.api.post(take_address(), json=DONE) for _ in range(50)))

    assert {answer.status_code for answer in answers} == {200}
    assert sorted(answer.json()["repeated"] for answer in answers) == [False] + [True] * 49
    assert len(await queued_tasks()) == 1
    assert [record["repeats"] for record in await recent_callbacks()] == [49]


async def test_the_same_words_about_another_take_are_news(relay: Any, take_address: Any, queued_tasks: Any) -> None:
    """A repeat has the same address and the same body."""
    bodies = [(take_address("s1", 1), DONE), (take_address("s1", 2), DONE), (take_address("s2", 1), DONE)]
    bodies.append((take_address("s1", 1), {**DONE, "status": "failed"}))

    answers = [(await relay.api.post(path, json=body)).json()["repeated"] for path, body in bodies]

    assert answers == [False] * 4
    assert len(await queued_tasks()) == 4


async def test_a_hook_whose_name_looks_like_a_take_swallows_no_callback(relay: Any, queued_tasks: Any) -> None:
    """The address is compared as a whole, its kind included."""
    for address in (HookAddress(hook=f"{RUN}:s1:1"), TakeAddress(run_id=RUN, shot_id="s1", take=1)):
        answer = await relay.api.post(f"/webhook/{relay.tokens.mint(address)}", json=DONE)
        assert answer.json() == {"received": True, "repeated": False}

    assert sorted(function for function, _ in await queued_tasks()) == ["hook", "look_up"]


DIALECTS: list[tuple[dict[str, Any], str | None, str | None]] = [
    (DONE, "job_1", "succeeded"),
    (ARK, "cgt-20260101-abc", "succeeded"),
    ({"id": "job_2", "status": "failed", "error": {"code": "X", "message": "m"}}, "job_2", "failed"),
    ({"data": {"task_id": "t-9", "status": "running"}}, "t-9", "running"),
    ({"id": "job_3", "status": "太好了"}, "job_3", "太好了"),
    ({"nothing": "we know"}, None, None),
]


async def test_every_dialect_names_its_job_and_status(
    relay: Any, take_address: Any, queued_tasks: Any, recent_callbacks: Any
) -> None:
    """The jobs API's, Ark's and the gateways' bodies; without either, the take is looked up all the same."""
    for number, (body, _, _) in enumerate(DIALECTS):
        assert (await relay.api.post(take_address("s1", number), json=body)).status_code == 200, body

    records = {record["take"]: (record["job_id"], record["status"]) for record in await recent_callbacks()}
    tasks = {task["take"]: (task["job_id"], task["word"]) for _, task in await queued_tasks()}
    assert records == tasks == {number: (job_id, word) for number, (_, job_id, word) in enumerate(DIALECTS)}


async def test_chinese_text_is_kept_unchanged(relay: Any, take_address: Any, recent_callbacks: Any) -> None:
    """Bodies are UTF-8; the record shows what was sent."""
    body = {"id": "任务_1", "status": "succeeded", "prompt": "霓虹雨夜 🌧️"}
    answer = await relay.api.post(take_address(), content=json.dumps(body, ensure_ascii=False).encode())

    assert answer.status_code == 200
    (record,) = await recent_callbacks()
    assert record["job_id"] == "任务_1"
    assert json.loads(record["body"]) == body


async def test_a_hooks_callback_becomes_a_task_for_its_job(
    relay: Any, hook_address: str, queued_tasks: Any, recent_callbacks: Any
) -> None:
    """Only the job's id and status word are taken from it; the task asks the provider for the rest."""
    answer = await relay.api.post(hook_address, json=DONE)

    assert answer.status_code == 200
    (record,) = await recent_callbacks()
    about = {"callback": record["id"], "received_at": record["received"]}
    assert await queued_tasks() == [("hook", {"hook": "mine", "job_id": "job_1", "word": "succeeded", **about})]
    assert (record["hook"], record["run"]) == ("mine", None)


async def test_a_hooks_callback_without_a_job_is_kept_and_starts_nothing(
    relay: Any, hook_address: str, queued_tasks: Any, recent_callbacks: Any
) -> None:
    """There is nothing to look up; the person who set it up can see what came."""
    answer = await relay.api.post(hook_address, json={"hello": "world"})

    assert answer.status_code == 200
    assert await queued_tasks() == []
    assert [record["body"] for record in await recent_callbacks()] == ['{"hello":"world"}']


UNREADABLE = [b"", b"{", b"hello", b"[1]", b'"text"', b"null", b"\xff\xfe{}", b'{"id": NaN}', b'{"a":1,"a":2}']


async def test_what_is_not_a_json_object_is_kept_refused_and_still_a_reason_to_look(
    relay: Any, take_address: Any, queued_tasks: Any, recent_callbacks: Any
) -> None:
    """400 with the reason; the token alone says which take something happened to."""
    reasons = {}
    for number, body in enumerate([*UNREADABLE, b"[" * 100_000]):
        answer = await relay.api.post(take_address("s1", number), content=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "not_json"), body
        reasons[number] = answer.json()["error"]["message"]

    records = await recent_callbacks()
    assert {record["outcome"] for record in records} == {"unreadable"}
    assert {record["take"]: record["reason"] for record in records} == reasons
    assert sorted(task["take"] for _, task in await queued_tasks()) == sorted(reasons)
    assert await queued_tasks() != []


async def test_a_wrong_token_is_404_and_leaves_at_most_a_sample(
    relay: Any, take_address: Any, queued_tasks: Any, recent_callbacks: Any
) -> None:
    """Foreign, cut, lengthened, garbled or empty: strangers cannot fill our memory."""
    right = take_address().removeprefix("/webhook/")
    foreign = Tokens("another secret").mint(TakeAddress(run_id=RUN, shot_id="s1", take=1))
    payload, _, mac = right.partition(".")
    other, _, _ = take_address("s1", 2).removeprefix("/webhook/").partition(".")
    wrong = [foreign, right[:-1], right + "A", payload, f"{other}.{mac}", f".{mac}", f"{right}/more"]

    for token in [*wrong, "", "x", "%00", "%ff", "..%2f..", "a" * 9000]:
        answer = await relay.api.post(f"/webhook/{token}", json=DONE)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found"), token

    assert await queued_tasks() == []
    assert {record["outcome"] for record in await recent_callbacks()} <= {"refused"}


async def test_nothing_but_a_post_or_a_look_is_taken_by_a_callback_address(relay: Any, take_address: Any) -> None:
    """405 for any other method."""
    for method in ("PUT", "DELETE", "OPTIONS", "PATCH"):
        answer = await relay.api.request(method, take_address())
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST"), method


async def test_a_body_of_a_mebibyte_is_taken_and_one_byte_more_is_not(
    relay: Any, take_address: Any, queued_tasks: Any, recent_callbacks: Any
) -> None:
    """413 by its announced length; a reason to look all the same, and shown with its reason."""
    largest = b'{"id":"job_1","x":"' + b"x" * ((1 << 20) - 21) + b'"}'
    assert len(largest) == 1 << 20

    response = await relay.api.post(take_address("s1"), content=largest)
    refused_response = await relay.api.post(take_address("s2"), content=largest + b" ")

    assert response.status_code == 200
    assert (refused_response.status_code, refused_response.json()["error"]["code"]) == (413, "too_large")
    assert [(record["shot"], record["outcome"], record["body"] == "") for record in await recent_callbacks()] == [
        ("s2", "too_large", True),
        ("s1", "accepted", False),
    ]
    assert [task["shot"] for _, task in await queued_tasks()] == ["s1", "s2"]


async def test_a_stream_is_cut_at_the_limit(relay: Any, take_address: Any) -> None:
    """Without Content-Length the bytes are counted; a sender that never ends is answered all the same."""
    host, port = relay.settings.listen_url.removeprefix("http://").split(":")
    loop, head = asyncio.get_running_loop(), b""

    async def flood(sender: socket.socket) -> None:
        with suppress(OSError):
            while True:
                await loop.sock_sendall(sender, b"10000\r\n" + b" " * (1 << 16) + b"\r\n")
                await asyncio.sleep(0.01)

    # A bare socket: asyncio's streams forget an answer that they have not read when a write after it is refused.
    with socket.create_connection((host, int(port))) as sender:
        sender.setblocking(False)
        first = f"POST {take_address()} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        await loop.sock_sendall(sender, first.encode())
        flooding = asyncio.create_task(flood(sender))
        async with asyncio.timeout(60):
            while b"\r\n\r\n" not in head and (more := await loop.sock_recv(sender, 4096)):
                head += more
        flooding.cancel()
        await asyncio.wait([flooding])

    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in head.lower()


async def test_a_sender_that_asks_first_is_answered_before_it_sends(relay: Any, take_address: Any) -> None:
    """``Expect: 100-continue`` with a length past the limit: 413 at once, and no byte of the body is wanted."""
    host, port = relay.settings.listen_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST {take_address()} HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\nExpect: 100-continue\r\n\r\n"
    writer.write(head.encode())
    async with asyncio.timeout(60):
        first = await reader.readline()
    writer.close()

    assert first.startswith(b"HTTP/1.1 413 ")


async def test_an_encoded_body_is_refused(
    relay: Any, take_address: Any, queued_tasks: Any, recent_callbacks: Any
) -> None:
    """415: nothing is unpacked, so that nothing can burst."""
    for encoding in ("gzip", "br", "identity, gzip", "x"):
        answer = await relay.api.post(take_address(), content=b"\x1f", headers={"Content-Encoding": encoding})
        assert (answer.status_code, answer.json()["error"]["code"]) == (415, "encoded"), encoding

    assert [(record["outcome"], record["repeats"]) for record in await recent_callbacks()] == [("encoded", 3)]
    assert len(await queued_tasks()) == 1


async def test_identity_is_no_encoding(relay: Any, take_address: Any) -> None:
    """Some clients say so."""
    answer = await relay.api.post(take_address(), json=DONE, headers={"Content-Encoding": "Identity"})

    assert answer.status_code == 200


async def test_an_endless_job_id_is_not_carried_along(
    relay: Any, take_address: Any, queued_tasks: Any, recent_callbacks: Any
) -> None:
    """A body may be a mebibyte, an id in tasks and log lines may not."""
    answer = await relay.api.post(take_address(), json={"id": "j" * 5000, "status": "s" * 5000})

    assert answer.status_code == 200
    (record,) = await recent_callbacks()
    assert record["job_id"] is None
    assert len(record["status"]) <= 100
    assert [task["job_id"] for _, task in await queued_tasks()] == [None]


async def test_of_a_long_body_the_beginning_is_listed(relay: Any, take_address: Any, recent_callbacks: Any) -> None:
    """A page of two hundred mebibytes would be no help, and would keep callbacks waiting."""
    body = json.dumps({"id": "job_1", "x": "霓" * 100_000}, ensure_ascii=False)
    await relay.api.post(take_address(), content=body.encode())

    (record,) = await recent_callbacks()
    assert record["body"] == body[:16_384]
    assert record["bytes"] == len(body.encode())


async def test_callbacks_are_listed_page_by_page(relay: Any, take_address: Any) -> None:
    """Newest first; ``next`` leads through all of them and then is null."""
    for number in range(5):
        await relay.api.post(take_address(), json={"id": f"job_{number}"})

    pages, after = [], None
    for _ in range(5):
        page = (await relay.api.get("/v1/callbacks", params={"limit": 2, **({"after": after} if after else {})})).json()
        pages.append([record["job_id"] for record in page["data"]])
        after = page["next"]
        if after is None:
            break

    assert sorted(job_id for each in pages for job_id in each) == [f"job_{number}" for number in range(5)]
    assert [len(each) for each in pages] == [2, 2, 1]


async def test_the_page_after_a_callback_that_is_gone_is_empty(relay: Any, take_address: Any) -> None:
    """Beginning again at the top would send a reader round and round."""
    await relay.api.post(take_address(), json=DONE)
    page = (await relay.api.get("/v1/callbacks", params={"after": "cb_gone"})).json()

    assert (page["data"], page["next"]) == ([], None)


async def test_a_job_that_ended_twice_is_a_conflict_and_the_provider_is_asked(
    relay: Any, take_address: Any, recent_callbacks: Any, queued_tasks: Any
) -> None:
    """Another body, or another word, at the same address: no repeat, kept as what it is, and looked up again."""
    other = {**DONE, "output": {"status": "succeeded", "videos": ["https://cdn.example.com/other.mp4"]}}
    failure = {"id": "job_1", "status": "failed"}
    answers = [await relay.api.post(take_address(), json=body) for body in (DONE, other, failure, other)]

    assert [answer.json()["repeated"] for answer in answers] == [False, False, False, True]
    records = {record["id"]: record for record in await recent_callbacks()}
    first = next(id for id, record in records.items() if record["outcome"] == "accepted")
    conflicts = [record for record in records.values() if record["outcome"] == "conflict"]
    assert sorted((each["status"], each["repeats"]) for each in conflicts) == [("failed", 0), ("succeeded", 1)]
    assert {each["reason"] for each in conflicts} == {f"{first} said otherwise how this job ended"}
    assert len(await queued_tasks()) == 3


async def test_progress_other_jobs_and_other_takes_are_no_conflict(
    relay: Any, take_address: Any, recent_callbacks: Any
) -> None:
    """Reports on the way differ by nature; one address may hear of several jobs."""
    for progress in (10, 20):
        await relay.api.post(take_address(), json={"id": "job_1", "status": "running", "progress": progress})
    await relay.api.post(take_address(), json=DONE)
    await relay.api.post(take_address(), json={**DONE, "id": "job_2"})
    await relay.api.post(take_address(take=2), json={**DONE, "more": 1})

    assert [record["outcome"] for record in await recent_callbacks()] == ["accepted"] * 5
