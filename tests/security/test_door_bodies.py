"""Bodies: counted while they arrive, never unpacked, and whatever is in them is refused with a clear 4xx."""

import asyncio
import gzip
import json
from typing import Any

import pytest

from framerelay.runs.tokens import TakeAddress
from framerelay.upstream.callback import COMMAS_MAX, DEPTH_MAX, DIGITS_MAX

pytestmark = pytest.mark.anyio

RUN = "run_" + "a" * 24
DONE = b'{"id":"job_1","status":"succeeded"}'
MEBIBYTE = 1 << 20
KEY = "Authorization: Bearer fr_test"
BOARD = b'{"model":"m","shots":[{"id":"s1","prompt":"x","seed":%s}]}'


@pytest.fixture
def path() -> Any:
    """``path(relay)``: where the callbacks of a take go."""
    return lambda relay: "/webhook/" + relay.tokens.mint(TakeAddress(run_id=RUN, shot_id="s1", take=1))


NOT_JSON = {
    "nothing": b"",
    "a list": b"[]",
    "form": b"id=job_1&status=succeeded",
    "depth": b'{"a":' * DEPTH_MAX + b"1" + b"}" * DEPTH_MAX,
    "100,000 lists": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a mebibyte of brackets": b"[" * MEBIBYTE,
    "4,300 digits": b'{"seed":' + b"9" * 4300 + b"}",
    "4,301 digits": b'{"seed":' + b"9" * 4301 + b"}",
    "a mebibyte of digits": b'{"seed":-' + b"9" * (MEBIBYTE - 10) + b"}",
    "digits of a fraction": b'{"seed":0.' + b"1" * (DIGITS_MAX + 1) + b"}",
    "an exponent": b'{"seed":1e999}',
    "a mebibyte of values": b'{"a":[' + b"1," * 524_000 + b"1]}",
    "one value too many": b'{"a":[' + b"1," * COMMAS_MAX + b'1],"b":1}',
    "a key twice": b'{"id":"job_1","id":"job_2"}',
    "a key twice, deeper": b'{"data":{"status":"failed","status":"succeeded"}}',
    "a key twice, escaped": b'{"id":"job_1","\\u0069d":"job_2"}',
    "NaN": b'{"progress":NaN}',
    "Infinity": b'{"progress":Infinity}',
    "-Infinity": b'{"progress":-Infinity}',
    "no UTF-8": b'{"id":"\xff\xfe"}',
    "too long UTF-8": b'{"id":"\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"id":"\xed\xa0\x80"}',
    "half a pair": b'{"id":"\\ud83d"}',
    "half a pair as a key": b'{"\\udfff":1}',
    "two byte order marks": b"\xef\xbb\xbf" * 2 + DONE,
    "a byte order mark alone": b"\xef\xbb\xbf",
    "UTF-16": DONE.decode().encode("utf-16"),
    "a control character": b'{"id":"a\x00b"}',
    "two objects": DONE + DONE,
    "half an object": DONE[:-1],
}


async def test_what_is_no_plain_json_object_is_refused_and_looked_up_all_the_same(
    start_relay: Any, talk: Any, post: Any, path: Any
) -> None:
    """400 for each, never 500; a sender who knows the address has given a reason to ask the provider."""
    async with start_relay("http://127.0.0.1:1", worker=False) as relay:
        answers = {name: await talk(relay, post(path(relay), body)) for name, body in NOT_JSON.items()}
        callbacks = (await relay.api.get("/v1/callbacks", params={"limit": 200})).json()["data"]

    assert {name: answer.status for name, answer in answers.items()} == dict.fromkeys(NOT_JSON, 400)
    assert {json.loads(answer.body)["error"]["code"] for answer in answers.values()} == {"not_json"}
    assert [record["outcome"] for record in callbacks] == ["unreadable"] * len(NOT_JSON)


async def test_just_inside_the_bounds_is_taken(start_relay: Any, talk: Any, post: Any, path: Any) -> None:
    """The bounds are as documented; odd but legal JSON is no reason to lose a callback."""
    legal = {
        "depth": b'{"a":' * (DEPTH_MAX - 1) + b"1" + b"}" * (DEPTH_MAX - 1),
        "digits": b'{"seed":' + b"9" * DIGITS_MAX + b"}",
        "values": b'{"a":[' + b"1," * COMMAS_MAX + b"1]}",
        "a whole pair": b'{"id":"\\ud83c\\udfac"}',
        "an escaped zero": b'{"id":"a\\u0000b"}',
        "white space": b" \r\n\t" + DONE + b"\n",
        "a byte order mark": b"\xef\xbb\xbf" + DONE + b"\r\n",
        "wrong types": b'{"id":{"id":[]},"status":true,"output":[[[]]],"data":7,"error":"x"}',
        "a mebibyte": DONE + b" " * (MEBIBYTE - len(DONE)),
    }
    async with start_relay("http://127.0.0.1:1", worker=False) as relay:
        statuses = {name: (await talk(relay, post(path(relay), body))).status for name, body in legal.items()}

    assert statuses == dict.fromkeys(legal, 200)


async def test_encoded_bodies_are_refused_unopened(start_relay: Any, talk: Any, post: Any, path: Any) -> None:
    """A thousand to one, disguised by another header or not: 415, and nothing is unpacked."""
    bomb = gzip.compress(b" " * (20 * MEBIBYTE), 9)
    forms = [("gzip",), ("identity", "gzip"), ("identity, gzip",), ("GZIP",), ("br",), ("deflate",), ("x",)]
    async with start_relay("http://127.0.0.1:1", worker=False) as relay:
        statuses = {}
        for form in forms:
            headers = [f"Content-Encoding: {each}" for each in form]
            statuses[form] = (await talk(relay, post(path(relay), bomb, *headers))).status
            api = await talk(relay, post("/v1/runs", bomb, KEY, *headers))
            assert api.status == 415, form

    assert statuses == dict.fromkeys(forms, 415)


async def test_an_endless_body_is_cut_while_it_arrives(start_relay: Any, connect_to: Any, path: Any) -> None:
    """Chunked or by a length that promises ten gigabytes: 413 after little more than a mebibyte."""
    framings = {
        "chunked": (b"Transfer-Encoding: chunked", b"10000\r\n" + b" " * 65_536 + b"\r\n"),
        "length": (b"Content-Length: 10737418240", b" " * 65_536),
    }
    sizes = dict.fromkeys(framings, 0)
    async with start_relay("http://127.0.0.1:1", worker=False) as relay:
        for name, (header, piece) in framings.items():
            reader, writer = await connect_to(relay)
            writer.write(f"POST {path(relay)} HTTP/1.1\r\nHost: x\r\n".encode() + header + b"\r\n\r\n")
            answer = asyncio.create_task(reader.readline())
            async with asyncio.timeout(60):
                while not answer.done() and sizes[name] < 200 * MEBIBYTE:
                    writer.write(piece)
                    sizes[name] += len(piece)
                    await asyncio.wait([asyncio.create_task(writer.drain()), answer], timeout=0.02)
                assert (await answer).startswith(b"HTTP/1.1 413 "), name
            writer.close()
        alive = await relay.api.get("/livez")

    assert alive.status_code == 200
    assert max(sizes.values()) < 200 * MEBIBYTE


BOARDS: dict[str, tuple[str, bytes]] = {
    "nothing": ("json", b""),
    "depth": ("json", b"[" * 100_000),
    "digits": ("json", BOARD % (b"9" * 5000)),
    "an exponent": ("json", BOARD % b"1e999"),
    "NaN": ("json", BOARD % b"NaN"),
    "half a pair": ("json", BOARD % b'"\\ud800"'),
    "half a pair as a key": ("json", b'{"\\ud800":1}'),
    "no UTF-8": ("json", b'{"title":"\xff"}'),
    "a key twice": ("json", b'{"model":"a","model":"b"}'),
    "a million values": ("json", b'{"a":[' + b"1," * 250_000 + b"1]}"),
    "billion laughs": (
        "yaml",
        b"a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
        + b"".join(b"a%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 12)),
    ),
    "an alias of itself": ("yaml", b"a: &a [*a]"),
    "deep lists": ("yaml", b"a: " + b"[" * 100_000),
    "deep groups": ("yaml", b"".join(b" " * depth + b"a:\n" for depth in range(500))),
    "deep keys": ("yaml", b"? " * 100_000),
    "a huge text": ("yaml", b"a: '" + b"x" * 600_000 + b"'"),
    "a huge tag": ("yaml", b"a: !" + b"a" * 500_000 + b" x"),
    "a huge code": ("yaml", b'a: "\\UFFFFFFFF"'),
    "a code past the last": ("yaml", b'a: "\\U00110000"'),
    "a huge version": ("yaml", b"%YAML 1." + b"2" * 5000 + b"\n--- a"),
    "huge digits": ("yaml", b"a: 0x" + b"f" * 5000),
    "an object of Python": ("yaml", b"!!python/object/apply:os.system ['true']"),
    "half a pair in YAML": ("yaml", b'title: "\\ud800"'),
    "two documents": ("yaml", b"---\n" * 1000),
    "UTF-16": ("yaml", "model: m".encode("utf-16")),
}


async def test_hostile_storyboards_are_refused_with_their_mistakes(start_relay: Any, talk: Any, post: Any) -> None:
    """422 for each, never 500, and none costs more than a moment: aliases are weighed before they are followed."""
    async with start_relay("http://127.0.0.1:1", worker=False) as relay:
        errors = {}
        for name, (form, body) in BOARDS.items():
            answer = await talk(relay, post("/v1/runs", body, KEY, f"Content-Type: application/{form}"))
            errors[name] = (answer.status, json.loads(answer.body)["error"]["code"])
        runs = (await relay.api.get("/v1/runs")).json()["data"]

    assert errors == dict.fromkeys(BOARDS, (422, "storyboard_invalid"))
    assert runs == []
