"""Answers of the provider that its page does not describe: uploads, refusals, waiting times."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from framerelay.runs.errors import UpstreamAnswerUnreadable
from framerelay.upstream.answers import find_upload_url, read_object, read_retry_after

URL = "https://files.example/a.png"
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("answer", "path", "expected"),
    [
        ({"url": URL}, None, URL),
        ({"file_url": URL}, None, URL),
        ({"data": {"url": URL}}, None, URL),
        ({"file": {"url": URL}}, None, URL),
        ({"code": 200, "data": {"file_url": URL}}, None, URL),
        ({"url": "/files/a.png"}, None, "https://backend:8000/files/a.png"),
        ({"url": None, "data": {"url": URL}}, None, URL),
        ({"url": "https://wrong.example/", "result": {"items": [{"link": URL}]}}, "result.items.0.link", URL),
        ({"id": "file_abc"}, "id", "file_abc"),
    ],
)
def test_the_url_of_an_upload_is_found(answer: dict[str, object], path: str | None, expected: str) -> None:
    """The answer is not documented; these forms are common, and a path can be given for any other."""
    assert expected == find_upload_url(answer, root="https://backend:8000", path=path)


@pytest.mark.parametrize("path", [None, "data.url", "data.0.url"])
def test_an_upload_without_a_url_names_the_keys_but_no_values(path: str | None) -> None:
    """The person learns what to put into the settings; a value might be a secret."""
    with pytest.raises(UpstreamAnswerUnreadable) as failure:
        find_upload_url({"id": "file_1", "data": {"download": "secret"}}, root="https://x", path=path)

    assert "id, data.download" in failure.value.message
    assert "secret" not in failure.value.message


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("99999999999999", 86400.0),
        ("soon", None),
        ("-5", None),
        ("١٢", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(value: str | None, expected: float | None) -> None:
    """Both forms of the header, bounded to a day."""
    assert expected == read_retry_after(value, now=NOW)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (rb'{"id":"j","p":"\ud83d"}', "\ufffd"),
        (rb'{"id":"j","p":"\ude00\ud83d\ud83d\ude00"}', "\ufffd\ufffd\U0001f600"),
        (rb'{"id":"j","p":"\\ud83d","q":NaN}', r"\ud83d"),
        (rb'{"id":"j","p":[NaN,-Infinity,1e999,-1e999]}', [None] * 4),
        (b'{"id":"j","p":' + b"9" * 5000 + b"}", None),
        (b'{"id":"j","p":"caf\xe9\r\n\t"}', "caf\ufffd\r\n\t"),
    ],
)
def test_json_that_is_almost_right_is_read(body: bytes, expected: object) -> None:
    """The id of a job stands beside it."""
    assert read_object(body) == {"id": "j", "p": expected} | ({"q": None} if b"q" in body else {})


@pytest.mark.parametrize(
    "body", [rb'{"id":"job_12', rb'{"id":"j","p":"\ud83d', b'{"id":"j"', b'{"p":' * 20_000, b"\xff\xfe{"]
)
def test_json_that_breaks_off_or_is_none_is_not_read(body: bytes) -> None:
    """What its other half said is not known: an id might be half of one."""
    with pytest.raises(UpstreamAnswerUnreadable):
        read_object(body)
