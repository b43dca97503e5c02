"""
Logging: one pipeline for structlog, uvicorn and arq; plain lines on a terminal, JSON elsewhere; secrets are never
shown.

An event is a fixed ``noun_verb``, the rest are fields. ``log_context`` adds run, shot and take to all lines of a task.
How lines are written, many at once, is in `config.log_lines`.
"""

import json
import logging
import os
import re
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, cast

import msgspec
import structlog
from msgspec.structs import astuple
from starlette.datastructures import Secret
from structlog.typing import EventDict, Processor, WrappedLogger

from framerelay.config.log_lines import CleanLine, Lines, LinesLogger, LogEvent, Render
from framerelay.config.metrics import build_version
from framerelay.config.settings import Settings


def _without_query(address: re.Match[str]) -> str:
    return f"{address[1]}?[query]" if address[2] else address[1]


SECRET_FIELDS = frozenset(
    {"authorization", "proxy-authorization", "x-api-key", "api_key", "upstream_key", "secret", "token", "password"}
    | {"cookie", "set-cookie"}
)
# Order matters: callback tokens first, then what is in addresses, then keys by their usual shapes. JSON may write
# "/" as "\\/" and "?" as "\\u003f", and a callback's body is shown as it came; a repr of that doubles the backslash. A
# stranger's mebibyte must not cost more than its length: every pattern takes what it has looked at, or looks a bounded
# way ahead. In front of each stand the words without one of which it is not tried: most texts hold none.
_ADDRESS = re.compile(
    r"([hH][tT][tT][pP][sS]?:\\*/\\*/[^\s\"'<>?#\\%]*(?:(?!\\u003[fF]|\\u0023|%3[fF])[\\%][^\s\"'<>?#\\%]*)*)"
    r"((?:[?#]|\\u003[fF]|\\u0023|%3[fF])[^\s\"'<>]*)?"
)
_KEYS = {
    name: re.compile(rf"{name}(?<!\w{name})[-_][{letters}]{{12,}}")
    for name, letters in (("sk", r"A-Za-z0-9_\-"), ("fr", r"A-Za-z0-9_\-"), ("whsec", r"A-Za-z0-9_\-+/="))
}
_REDACTIONS: tuple[tuple[tuple[str, ...], re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (("webhook",), re.compile(r"(/webhook\\*/)[A-Za-z0-9_.~%-]+"), r"\1[token]"),
    (
        ("ddo", "ddp", "ado", "adp"),
        re.compile(r"\b[acd]D[op][A-Za-z0-9_-]{2,240}\.[A-Za-z0-9_-]{24}(?![A-Za-z0-9_-])"),
        "[token]",
    ),
    (("@",), re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,15}:\\*/\\*/)[^\s\"'<>/?#]*@"), r"\1[user]@"),
    (("http",), _ADDRESS, _without_query),
    (("bearer",), re.compile(r"(?i)\b(bearer(?:\s|%20|\+|\\t)+)[^\s\"',}]+"), r"\1[key]"),
    *(((f"{name}-", f"{name}_"), pattern, "[key]") for name, pattern in _KEYS.items()),
    (("media",), re.compile(r"(?<![\w/])(/media\\*/[^\s\"'?]*)(\?[^\s\"']*)?"), _without_query),
    (
        ("signature", "credential", "token", "sig=", "sig%", "sig\\"),
        re.compile(r"(?i)(signature|credential|token|sig)(=|%3d|\\u003d)[^\s\"'&<>\\,;)}\]]+"),
        r"\1\2[key]",
    ),
    (
        ("authorization", "api_key", "api-key", "upstream_key", "secret", "token", "password", "cookie"),
        re.compile(rf'(?i)("(?:{"|".join(SECRET_FIELDS)})\\*"\s*:\s*\\*")(?:[^"\\]|\\.)*'),
        r"\1[secret]",
    ),
)
_SUSPICIOUS = re.compile(r"[^\w:-]|sk[-_]|fr[-_]|whsec")  # Without any of these, no pattern can match.
# What most addresses are made of, without "?". An address with anything else in it needs a closer look.
_PART = r"[!#-&(-;=@-\[\]-~]*+"
_QUERY = re.compile(rf'("https?://{_PART})\?{_PART}(?:\\u0026{_PART})*+(?=")')  # Go writes & so.
# At a glance: where nothing is escaped and no address has a query any more, only a text that holds one of these signs,
# or one of these words in small letters, needs a closer look. Of many fields the end of the name is enough. Each word
# is sought only where its rarest letter occurs: one letter takes a thirtieth of the time. Nothing of "media" is taken
# out but a query.
_SIGNS = ("?", "#", "%", "=", "@", "\\")
_TELLING = (
    ("w", ("whsec", "/webhook", 'password"')),
    ("y", ('key"',)),
    ("z", ('ization"',)),
    ("k", ('token"', 'cookie"')),
    ("b", ("bearer",)),
    ("c", ('secret"',)),
)
# Keys begin with these, and `task_id`, which is in most bodies, is none.
_KEY, _FIELD_LIKE_IT, _KEY_BEGINS = "sk", "task_", ("sk-", "sk_")
_OWN_KEY, _OWN_KEY_BEGINS = "fr", ("fr-", "fr_")
# A token is base64 of "t:…", "h:…" or "p:…": d, a or c, then D, then o or p as the next letter is below "@" or above.
_TOKEN_BEGINS = ("Do", "Dp")
_TROUBLE: Final = (structlog.processors.StackInfoRenderer(), structlog.processors.format_exc_info)
_extra = cast(Processor, structlog.stdlib.ExtraAdder())  # It asks for a logger but only looks at the record.
_SECRET_CHARS_MIN = 8  # A shorter one would blank out half of every line; showing it in a log is the smaller harm.


def configure_logging(
    settings: Settings, *, stream: Any = None, also: Iterable[str] = (), program: str | None = None
) -> None:
    """
    Send every log line of this process through one pipeline to *stream* (default: standard error).

    *also*: texts that must not be shown, in addition to the secrets of *settings*. *program*: the long-running program;
    JSON lines then say so, with host and version. A later call replaces an earlier one.
    """
    stream = stream or sys.stderr
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not stream.isatty())
    secrets = secrets_of(settings, *map(Secret, also))
    lines = Lines(
        stream,
        render=_json_lines(secrets, _origin(program)) if as_json else _plain_lines(secrets, stream),
        to_event=_event_of_record,
    )
    front = LinesLogger(lines)
    structlog.configure(
        processors=[_add_context, _as_argument],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level.upper()),
        logger_factory=lambda *_: front,
        cache_logger_on_first_use=False,
    )
    write_waiting_lines()
    root = logging.getLogger()
    root.handlers = [lines]
    root.setLevel(settings.log_level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "arq", "arq.worker"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    # Their messages repeat our own lines: one per callback, per task and per call of the provider.
    for name in ("uvicorn.error", "uvicorn.access", "arq.worker", "httpx", "httpcore", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)


def lines_at(level: int) -> Lines | None:
    """Where clean lines of this level of `logging` go; None if it is not logged. Nothing of `log_context` is added."""
    root = logging.getLogger()
    if not root.isEnabledFor(level):
        return None
    return next((handler for handler in root.handlers if isinstance(handler, Lines)), None)


def write_waiting_lines() -> None:
    """At once, not at the end of the event loop's round: something else is to be printed after them."""
    for handler in logging.getLogger().handlers:
        handler.flush()


@contextmanager
def log_context(**fields: object) -> Iterator[None]:
    """Add *fields* to every line logged inside the block, by whichever module."""
    with structlog.contextvars.bound_contextvars(
        **{name: value for name, value in fields.items() if value is not None}
    ):
        yield


def secrets_of(settings: Settings, *more: Secret) -> tuple[str, ...]:
    """The exact texts that must not be shown, whatever their shape: the secrets of *settings*, and *more*."""
    texts = texts_of(settings) | {str(secret) for secret in more if secret}
    return tuple(sorted((text for text in texts if len(text) >= _SECRET_CHARS_MIN), key=len, reverse=True))


def texts_of(settings: Settings) -> set[str]:
    """The secrets of *settings*."""
    secrets = (*settings.api_key, *settings.read_key, *settings.notify_secret, settings.upstream_key, settings.secret)
    return {str(secret) for secret in secrets if secret}


def redact(value: Any, *, secrets: tuple[str, ...] = ()) -> Any:
    """
    *value* with tokens, keys, URL queries and *secrets* removed from all its texts, however deep.

    Numbers, booleans and None stay as they are; anything else that is not text, list or mapping becomes its ``repr``,
    since that is what the log would show.
    """
    if isinstance(value, str):
        return _redact_text(value, secrets)
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, Mapping):
        return {
            redact(name, secrets=secrets): "[secret]"
            if str(name).lower() in SECRET_FIELDS
            else redact(inner, secrets=secrets)
            for name, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [redact(inner, secrets=secrets) for inner in value]
    return _redact_text(repr(value), secrets)


def redact_queries(text: str) -> str | None:
    """
    *text*, which is JSON, in the form of `redact`, if only queries of addresses have to be removed, otherwise None.

    Several of them may be one text, separated by NUL, which none can contain.
    """
    parts = _QUERY.split(text)  # Other text and addresses, alternating, all without the queries.
    if not _looks_harmless("".join(parts)):
        return None
    parts[1::2] = [f"{address}?[query]" for address in parts[1::2]]
    return "".join(parts)


def _looks_harmless(text: str) -> bool:
    """Nothing in *text*, which is JSON, can be what one of the patterns takes out."""
    if _holds_any(text, _SIGNS) or ("D" in text and _holds_any(text, _TOKEN_BEGINS)):
        return False
    if text.count(_KEY) != text.count(_FIELD_LIKE_IT) and _holds_any(text.replace(_FIELD_LIKE_IT, ""), _KEY_BEGINS):
        return False
    if _OWN_KEY in text and _holds_any(text, _OWN_KEY_BEGINS):
        return False
    lower = text.lower()
    return not any(letter in lower and _holds_any(lower, words) for letter, words in _TELLING)


def _holds_any(text: str, words: Iterable[str]) -> bool:
    return any(map(text.__contains__, words))


def _redact_text(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        text = text.replace(secret, "[key]")
    if not _SUSPICIOUS.search(text):
        return text
    lower = text.lower()
    for words, pattern, replacement in _REDACTIONS:
        if any(map(lower.__contains__, words)):
            text = pattern.sub(replacement, text)
            lower = text.lower()
    return text


def _add_context(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """With what is bound, the level and, where there is one, the traceback: one step, since there are thousands."""
    event = structlog.contextvars.merge_contextvars(logger, name, event)
    event = structlog.processors.add_log_level(logger, name, event)
    if "exc_info" in event or "stack_info" in event:
        for processor in _TROUBLE:
            event = processor(logger, name, event)
    return event


def _as_argument(_: WrappedLogger, __: str, event: EventDict) -> tuple[tuple[EventDict], dict[str, Any]]:
    """Passed on as it is; structlog would take it apart."""
    return (event,), {}


def _origin(program: str | None) -> bytes:
    """The end of a line, which says who wrote it."""
    if program is None:
        return b"}\n"
    who = {"host": socket.gethostname(), "process": f"{program}:{os.getpid()}", "version": build_version()}
    return b"," + msgspec.json.encode(who)[1:] + b"\n"


def _json_lines(secrets: tuple[str, ...], ending: bytes) -> Render:
    """
    One JSON object per line. All are searched together quickly; those that need a closer look get one.

    Most rounds have nothing to hide, and then the quick search is all that hiding costs. *ending* replaces each line's
    last brace: whatever is in a line, JSON has a line break only after it.
    """
    encode = msgspec.json.Encoder().encode_lines

    def is_harmless(data: bytes) -> bool:
        text = data.decode()
        return not any(map(text.__contains__, secrets)) and _looks_harmless(text)

    def encode_harmless(events: Sequence[LogEvent]) -> bytes | None:
        with suppress(UnicodeEncodeError, TypeError):  # Half a surrogate pair; a name of a field that is not text.
            data = encode(events)
            doubtful = [event for event in events if not isinstance(event, CleanLine)]
            if not doubtful or is_harmless(data if len(doubtful) == len(events) else encode(doubtful)):
                return data
        return None

    def render(events: Sequence[LogEvent]) -> bytes:
        data = encode_harmless(events) or b"".join(encode_harmless([event]) or redact_line(event) for event in events)
        return data.replace(b"}\n", ending)

    def redact_line(event: LogEvent) -> bytes:
        fields = _redact_event(event, secrets)
        with suppress(UnicodeEncodeError, TypeError):
            return encode([fields])
        return json.dumps(fields, default=repr).encode() + b"\n"

    return render


def _plain_lines(secrets: tuple[str, ...], stream: Any) -> Render:
    """For people, in the encoding of their terminal."""
    renderer = structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=26)
    encoding = getattr(stream, "encoding", None) or "utf-8"

    def render(events: Sequence[LogEvent]) -> bytes:
        lines = [str(renderer(None, "", _redact_event(event, secrets))) for event in events]
        return "".join(f"{line}\n" for line in lines).encode(encoding, "backslashreplace")

    return render


def _redact_event(event: LogEvent, secrets: tuple[str, ...]) -> EventDict:
    if isinstance(event, CleanLine):
        fields = zip(event.__struct_encode_fields__, astuple(event), strict=True)
        event = {name: value for name, value in fields if value is not msgspec.UNSET}
    stamp = event["timestamp"].isoformat().replace("+00:00", "Z")
    return dict(redact({**event, "timestamp": stamp}, secrets=secrets))


def _event_of_record(record: logging.LogRecord) -> EventDict:
    try:
        message = record.getMessage()
    except Exception:  # A library's mistake must not cost the line.
        message = f"{record.msg} {record.args}"
    event: EventDict = {"event": message, "_record": record}
    if record.exc_info:
        event["exc_info"] = record.exc_info
    if record.stack_info:
        event["stack"] = record.stack_info
    level = record.levelname.lower()
    event = name_foreign(None, level, cast(EventDict, _extra(None, level, event)))
    del event["_record"]
    return _add_context(None, level, event)


def name_foreign(logger: WrappedLogger, _: str, event: EventDict) -> EventDict:
    """Lines of libraries keep their sentence in ``message`` under a fixed event, so that events stay countable."""
    record = event.get("_record")
    name = record.name if record is not None else getattr(logger, "name", "library")
    return {**event, "event": f"{name.split('.')[0]}_said", "message": str(event.get("event", ""))}
