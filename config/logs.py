"""
Logging: one pipe for structlog, uvicorn and arq; plain lines on a terminal, JSON elsewhere; secrets never pass.

An event is a fixed ``noun_verb``, the rest are fields. ``bound`` ties run, shot and take to all lines of a task.
"""

import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from config.settings import Settings

# Order matters: the token of a callback address first, then queries, then keys by their usual shapes.
_REDACTIONS = (
    (re.compile(r"(/webhook/)[A-Za-z0-9_.~-]+"), r"\1[token]"),
    (re.compile(r"(https?://[^\s\"'<>?#]+)[?#][^\s\"'<>]*"), r"\1?[query]"),
    (re.compile(r"(?i)(bearer\s+)[^\s\"',}]+"), r"\1[key]"),
    (re.compile(r"\b(?:sk|fr|whsec)[-_][A-Za-z0-9_\-]{12,}"), "[key]"),
    (re.compile(r"(?<![\w/])(/media/[^\s\"'?]+)\?[^\s\"']*"), r"\1?[query]"),
)
_SECRET_FIELDS = frozenset({"authorization", "api_key", "secret", "token", "upstream_key", "password", "cookie"})


def configure_logging(settings: Settings, *, stream: Any = None) -> None:
    """Send every log line of this process through one pipe to *stream* (default: standard error)."""
    stream = stream or sys.stderr
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    ending: list[Processor] = [structlog.processors.format_exc_info, redact]
    ending.append(
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=26)
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level.upper()),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), name_foreign],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "arq", "arq.worker"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    # Their chatter repeats what our own lines say: one line per callback, per task and per call of the provider.
    for name in ("uvicorn.error", "uvicorn.access", "arq.worker", "httpx", "httpcore", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)


@contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Add *fields* to every line logged inside the block, by whichever module."""
    with structlog.contextvars.bound_contextvars(
        **{name: value for name, value in fields.items() if value is not None}
    ):
        yield


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Take tokens, keys and URL queries out of every field, however deep."""
    return {name: "[secret]" if name in _SECRET_FIELDS else redacted(value) for name, value in event.items()}


def redacted(value: Any) -> Any:
    """*value* with secrets taken out of all its texts; other types are returned as they are."""
    if isinstance(value, str):
        for pattern, replacement in _REDACTIONS:
            value = pattern.sub(replacement, value)
        return value
    if isinstance(value, Mapping):
        return {name: "[secret]" if name in _SECRET_FIELDS else redacted(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(inner) for inner in value]
    return value


def name_foreign(logger: WrappedLogger, _: str, event: EventDict) -> EventDict:
    """Lines of libraries keep their sentence in ``message`` under a fixed event, so that events stay countable."""
    record = event.get("_record")
    name = record.name if record is not None else getattr(logger, "name", "library")
    return {**event, "event": f"{name.split('.')[0]}_said", "message": str(event.get("event", ""))}
