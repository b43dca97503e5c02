"""One pipe for all lines: JSON for machines, plain lines for people, secrets for nobody."""

import io
import json
import logging
import os
import socket
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.datastructures import Secret

from framerelay.config import logs
from framerelay.config.logs import configure_logging, log_context, redact, secrets_of
from framerelay.config.settings import Settings


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Logging belongs to the whole process; leave it as it was found."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    levels = {name: logging.getLogger(name).level for name in logging.root.manager.loggerDict}
    yield
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)
    for name in logging.root.manager.loggerDict:
        logging.getLogger(name).setLevel(levels.get(name, logging.NOTSET))


def logger_to(stream: io.StringIO, **settings: Any) -> Any:
    """A logger whose lines go to *stream*."""
    configure_logging(Settings(**settings), stream=stream)
    return structlog.get_logger()


def test_a_file_gets_one_json_object_a_line() -> None:
    """With time, level and event; Chinese stays readable; a traceback stays on its line."""
    stream = io.StringIO()
    log = logger_to(stream)
    log.info("run_started", run_id="run_1", title="霓虹\n雨夜")
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("task_surprised")

    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert {**first, "timestamp": ""} == {
        "event": "run_started",
        "run_id": "run_1",
        "title": "霓虹\n雨夜",
        "level": "info",
        "timestamp": "",
    }
    assert first["timestamp"].endswith("Z")
    assert "霓虹" in stream.getvalue()
    assert "ValueError: broken" in second["exception"]


def test_lines_of_a_program_say_who_wrote_them() -> None:
    """Host, process and version, whatever is in the line; lines that needed a closer look, too."""
    stream = io.StringIO()
    configure_logging(Settings(), stream=stream, program="worker")
    log = structlog.get_logger()
    for text in ("}\n", '{"a": {}}', "Bearer 0123456789abcdef", "\ud800"):
        log.info("thing_said", text=text, fields={"deep": {}})
    logging.getLogger("library").warning("hm }")

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == 5
    who = {"host": socket.gethostname(), "process": f"worker:{os.getpid()}", "version": version("framerelay")}
    assert [{name: line[name] for name in who} for line in lines] == [who] * 5
    assert [line.get("text") for line in lines[:2]] == ["}\n", '{"a": {}}']
    assert [line["fields"] for line in lines[:4]] == [{"deep": {}}] * 4
    assert "0123456789abcdef" not in stream.getvalue()


def test_a_terminal_gets_plain_lines() -> None:
    """Unless told otherwise; a traceback is printed without complaint."""
    for stream, log_format, is_json in (
        (Terminal(), "auto", False),
        (Terminal(), "json", True),
        (io.StringIO(), "console", False),
    ):
        log = logger_to(stream, log_format=log_format)
        log.info("run_started", run_id="run_1")
        try:
            raise ValueError("broken")
        except ValueError:
            log.exception("task_surprised")
        assert stream.getvalue().startswith("{") is is_json
        assert "run_started" in stream.getvalue()
        assert "ValueError: broken" in stream.getvalue()


def test_strangers_words_cannot_draw_on_a_terminal() -> None:
    """A status word with escape codes or line breaks stays one harmless line."""
    stream = io.StringIO()
    logger_to(stream, log_format="console").info("callback_received", word="ok\x1b[2J\n2026 [info] run_started")

    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


def test_lines_of_libraries_go_the_same_way() -> None:
    """Under a fixed event, their sentence beside it; their chatter stays out."""
    stream = io.StringIO()
    logger_to(stream)
    for name in ("uvicorn.error", "uvicorn.access", "arq.worker", "httpx", "asyncio"):
        logging.getLogger(name).info("chatter")
        logging.getLogger(name).warning("%s of %d", "trouble", 1)
    logging.getLogger("other").info("hello", extra={"size": 3})

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == [
        "uvicorn_said",
        "uvicorn_said",
        "arq_said",
        "httpx_said",
        "asyncio_said",
        "other_said",
    ]
    assert {line["message"] for line in lines[:-1]} == {"trouble of 1"}
    assert (lines[-1]["message"], lines[-1]["size"], lines[-1]["level"]) == ("hello", 3, "info")


def test_nothing_below_the_level_is_written() -> None:
    """Of ours or a library's."""
    stream = io.StringIO()
    log = logger_to(stream, log_level="warning")
    log.info("run_started")
    logging.getLogger("other").info("hello")
    log.warning("disk_nearly_full")

    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["disk_nearly_full"]


def test_bound_fields_are_on_every_line_of_the_block() -> None:
    """By whichever module, a library's too; after the block it is gone; None is left out."""
    stream = io.StringIO()
    log = logger_to(stream)
    with log_context(run_id="run_1", shot="s1", take=None):
        log.info("take_seen")
        logging.getLogger("other").warning("hm")
        with log_context(take=2):
            log.info("take_seen")
    log.info("take_seen")

    lines = [
        {name: line[name] for name in ("run_id", "shot", "take") if name in line}
        for line in map(json.loads, stream.getvalue().splitlines())
    ]
    one = {"run_id": "run_1", "shot": "s1"}
    assert lines == [one, one, {**one, "take": 2}, {}]


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("POST /webhook/dDpy.AAAA-b_c HTTP", "POST /webhook/[token] HTTP"),
        ("https://a.example/v.mp4?sig=1&x=2 ok", "https://a.example/v.mp4?[query] ok"),
        ("https:\\/\\/a.example\\/v.mp4?sig=1", "https:\\/\\/a.example\\/v.mp4?[query]"),
        ("https://a.example/v.mp4#part", "https://a.example/v.mp4?[query]"),
        ("HTTPS://A.EXAMPLE/V?S=1", "HTTPS://A.EXAMPLE/V?[query]"),
        ("/media/run_1/s1.mp4?expires=1&signature=x", "/media/run_1/s1.mp4?[query]"),
        ('{"l":"\\/media\\/run_1\\/s1.mp4?signature=x"}', '{"l":"\\/media\\/run_1\\/s1.mp4?[query]"}'),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [key]"),
        ("key sk-abcdefghijklmnop.", "key [key]."),
        ("redis://:pass@host:6379/0", "redis://[user]@host:6379/0"),
        ("rediss+cluster://me:pass@a:1,b:2", "rediss+cluster://[user]@a:1,b:2"),
        ("https://user:pass@host/x?y=1", "https://[user]@host/x?[query]"),
        ("https://a.example/v.mp4\\u003fsig=1\\u0026x=2 ok", "https://a.example/v.mp4?[query] ok"),
        (
            "https://proxy.example/https%3A%2F%2Fa.example%2Fv.mp4%3Fsig%3D1",
            "https://proxy.example/https%3A%2F%2Fa.example%2Fv.mp4?[query]",
        ),
        (
            "GET /v.mp4?X-Amz-Credential=me&X-Amz-Signature=1 HTTP",
            "GET /v.mp4?X-Amz-Credential=[key]&X-Amz-Signature=[key] HTTP",
        ),
        ("X-Tos-Security-Token%3Dabc%26x, sig=abc)", "X-Tos-Security-Token%3D[key], sig=[key])"),
        ("max_tokens=100, design=flat", "max_tokens=100, design=flat"),
        ("a task of run_1, 5 s; why? because", "a task of run_1, 5 s; why? because"),
        ("mail me@example.com", "mail me@example.com"),
        ("https://a.example/@user/clip.mp4", "https://a.example/@user/clip.mp4"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out_and_the_rest_stays(text: str, result: str) -> None:
    """A line without its secrets still says what happened."""
    assert redact(text) == result
    assert redact({"a": [text, (text,)]}) == {"a": [result, [result]]}


@pytest.mark.parametrize(
    "piece",
    [
        "a.",
        "http://",
        "-/media/",
        "a+",
        "bearer ",
        "dDo-",
        "/webhook",
        "\\",
        ":\\",
        "://",
        "@",
        "https://a@",
        "sk-a",
        "?",
        "sig",
        "token=",
        "https://%3",
    ],
)
def test_a_mebibyte_made_to_be_slow_is_not(piece: str, ends: Any) -> None:
    """Strangers write callbacks' bodies; a pattern that backtracks would take hours for them."""
    with ends():
        redact(piece * ((1 << 20) // len(piece)))


def test_fields_that_hold_secrets_by_name_are_blanked() -> None:
    """In any case, at any depth."""
    headers = {"Authorization": "Basic x", "Set-Cookie": "a=b", "X-API-Key": "k", "Accept": "*/*"}

    assert redact({"headers": headers, "token": b"t"}) == {
        "headers": {"Authorization": "[secret]", "Set-Cookie": "[secret]", "X-API-Key": "[secret]", "Accept": "*/*"},
        "token": "[secret]",
    }
    assert redact({"https://a.example/?sig=1": {"PASSWORD": 1}}) == {
        "https://a.example/?[query]": {"PASSWORD": "[secret]"}
    }


def test_numbers_and_nothing_stay_what_they_are() -> None:
    """So that a line can be counted with."""
    assert redact([1, 2.5, True, None]) == [1, 2.5, True, None]
    assert redact({"path": Path("/media/x?y=1")}) == {"path": "PosixPath('/media/x?[query]')"}


def test_the_secrets_of_the_settings_are_known_by_their_text() -> None:
    """Whatever their shape, the longest first, since one may hold another; one of few letters is not looked for."""
    settings = Settings(api_key=(Secret("correct horse"),), upstream_key=Secret("correct horse battery"))
    secrets = secrets_of(settings, Secret("short"), Secret("another one"))

    assert secrets == ("correct horse battery", "correct horse", "another one")
    assert redact("a correct horse battery, a correct horse", secrets=secrets) == "a [key], a [key]"


@pytest.mark.parametrize("name", sorted(logs.SECRET_FIELDS))
def test_a_field_with_a_secret_is_seen_at_a_glance(name: str) -> None:
    """In any case, and wherever it stands."""
    for spelling in (name, name.upper(), name.title()):
        assert logs.redact_queries(f'{{"id":"job_1","{spelling}":"x"}}') is None


@pytest.mark.parametrize(
    "text",
    [
        "/webhook/a",
        "/WEBHOOK/a",
        "/media/clip.mp4?a",
        "Bearer a",
        "whsec_aaaaaaaaaaaaaaaa",
        "sk-aaaaaaaaaaaaaaaa task_",
        "task_ sk_aaaaaaaaaaaaaaaa",
        "fr-aaaaaaaaaaaaaaaa",
        "fr_aaaaaaaaaaaaaaaa",
        "adp" + "a" * 8 + "." + "a" * 24,
        "aDp" + "a" * 8 + "." + "a" * 24,
    ],
)
def test_what_may_be_a_secret_gets_a_closer_look(text: str) -> None:
    """The quick search has to see whatever the patterns see; that they do is tested above."""
    document = {"id": "job_1", "said": text}

    assert (logs.redact_queries(json.dumps(document)) is None) or redact(document) == document


HINTS = ["sk", "fr", "whsec", "task_", "webhook", "media", "bearer", "signature", "token", "api-key", "api_key", "http"]
HINTS += ["dDo", "adp", "a" * 24, "proxy-authorization", "set-cookie", "%3d", "%20", "\\u003d", "\\t", "X", "é", "9"]
MARKS = list("-_/\\:.@?#=%\"' +,}<&\n")


@settings(max_examples=500)
@given(text=st.lists(st.sampled_from([*HINTS, *(hint.upper() for hint in HINTS), *MARKS]), max_size=9).map("".join))
@example(text="sk-aaaaaaaaaaaaaaaa")
@example(text="sk_aaaaaaaaaaaaaaaa")
@example(text="fr-aaaaaaaaaaaaaaaa")
@example(text="fr_aaaaaaaaaaaaaaaa")
@example(text="whsec_aaaaaaaaaaaaaaaa")
@example(text="dDo" + "a" * 8 + "." + "a" * 24)
def test_no_shortcut_lets_a_secret_pass(text: str) -> None:
    """Most texts are let through after a glance at their words: the same ones as if every pattern had been tried."""
    thorough = text
    for _, pattern, replacement in logs._REDACTIONS:
        thorough = pattern.sub(replacement, thorough)

    assert redact(text) == thorough
    assert logs.redact_queries(text) in (None, thorough)
