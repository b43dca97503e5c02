"""A callback's body is untrusted: it is read under bounds, or refused with a reason."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framerelay.runs.errors import RequestInvalid
from framerelay.upstream import callback
from framerelay.upstream.callback import DEPTH_MAX, DIGITS_MAX, read_callback
from framerelay.upstream.wire import JobState


def test_a_callback_is_read_like_the_answer_to_a_look_up() -> None:
    """Ark posts a body of the same shape."""
    report = read_callback(b'{"id":"job_1","status":"succeeded","content":{"video_url":"https://cdn.example/a.mp4"}}')

    assert (report.job_ids, report.state) == (("job_1",), JobState.SUCCEEDED)
    assert report.video_url == "https://cdn.example/a.mp4"


def nested(levels: int) -> bytes:
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"status=succeeded",
        b"[]",
        b'"job_1"',
        b"null",
        b'{"id":"a","id":"b"}',
        b'{"output":{"status":"running","status":"succeeded"}}',
        b'{"seed":NaN}',
        b'{"seed":-Infinity}',
        b'{"seed":1e999}',
        b'{"seed":' + b"1" * (DIGITS_MAX + 1) + b"}",
        b'{"seed":0.' + b"1" * DIGITS_MAX + b"}",
        b'{"id":"\\ud800"}',
        b'{"\\udfff":1}',
        b'{"id":"\xff"}',
        '{"id":"x"}'.encode("utf-16"),
        b'{"id":"x"} trailing',
        nested(DEPTH_MAX + 1),
        nested(100_000),
        b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    ],
    ids=lambda body: body[:24].decode("latin-1"),
)
def test_what_readers_could_disagree_about_is_refused(body: bytes) -> None:
    """Refused means RequestInvalid (a 400), never a crash."""
    with pytest.raises(RequestInvalid):
        read_callback(body)


def test_the_bounds_let_their_own_value_pass() -> None:
    """The limits are the first refused value, not the last allowed one."""
    assert JobState.UNKNOWN is read_callback(nested(DEPTH_MAX)).state
    assert JobState.UNKNOWN is read_callback(b'{"x":' + b"1" * DIGITS_MAX + b"}").state


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
NAMES = """id task_id status data output content videos error usage seed duration frames created_at framespersecond
last_frame_url metadata code message"""
names = st.sampled_from(NAMES.split())


@given(st.dictionaries(names, json_values | st.dictionaries(names, json_values, max_size=4), max_size=8))
def test_no_json_object_breaks_the_reader(document: dict[str, object]) -> None:
    """Any object is read or refused."""
    try:
        report = read_callback(json.dumps(document).encode())
    except RequestInvalid:
        return
    assert report.state in JobState


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(body: bytes) -> None:
    """Any bytes are read or refused."""
    with contextlib.suppress(RequestInvalid):
        read_callback(body)


PIECES = """{"a": "a": "b": { } [ ] , "x" " 1 99999999999999999 0.5 1e400 -0 null \\ \\ud800 \x01 é NaN"""
pieces = st.lists(
    st.sampled_from(PIECES.split(" ")),
    max_size=12,
).map(lambda parts: "".join(parts).encode())
objects = st.lists(st.tuples(names, json_values), max_size=4).map(
    lambda pairs: f"{{{','.join(f'{json.dumps(name)}:{json.dumps(value)}' for name, value in pairs)}}}".encode()
)


@settings(max_examples=400)
@given(pieces | objects)
def test_the_quick_reader_takes_nothing_that_the_strict_one_refuses(body: bytes) -> None:
    """And reads the same from what both take; doubled keys are among what it is given."""
    quick = callback._read_quickly(body)

    if quick is not None:
        assert quick == callback._read_strictly(body)


def test_the_quick_reader_is_used() -> None:
    """For what providers send; else the test before this one would say nothing."""
    assert callback._read_quickly(b'{"id":"a","output":{"videos":["https://a.example"]},"created":1795348800}')
    assert callback._read_quickly(rb'{"id":"a","url":"https://a.example/?b=1\u0026c=2"}') == {
        "id": "a",
        "url": "https://a.example/?b=1&c=2",
    }
    assert callback._read_quickly(b'{"id":"a","id":"b"}') is None
