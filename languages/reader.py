"""Whom a sentence is for: the language of the request or command that is being answered."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

ENGLISH: Final = "en"
CHINESE: Final = "zh"
LANGUAGES: Final = (ENGLISH, CHINESE)
NAMES: Final = {ENGLISH: "English", CHINESE: "中文"}
SAMPLE: Final = "中"  # What an output must be able to show.
FULL_STOP: Final = "。"
COOKIE: Final = "framerelay_lang"
VARIABLE: Final = "FRAMERELAY_LANG"
_HEADER_CHARS_MAX: Final = 200

_reader: ContextVar[str] = ContextVar("framerelay_reader", default=ENGLISH)


def language() -> str:
    """The reader's language: one of `LANGUAGES`, English if no other one was set."""
    return _reader.get()


def read_in(code: str) -> None:
    """From here on, in this task or thread, the reader's language is *code* (one of `LANGUAGES`)."""
    _reader.set(code)


@contextmanager
def reading(code: str) -> Iterator[None]:
    """Inside the block, the reader's language is *code* (one of `LANGUAGES`)."""
    token = _reader.set(code)
    try:
        yield
    finally:
        _reader.reset(token)


def language_of_tag(tag: str | None) -> str | None:
    """The language of a tag such as ``zh-CN``, ``zh_CN.UTF-8`` or ``en``; None if we do not speak it."""
    code = (tag or "").strip().lower().replace("_", "-").partition("-")[0].partition(".")[0]
    return code if code in LANGUAGES else None


def of_header(accept_language: str | None) -> str | None:
    """The first language of ``Accept-Language``, by its weights, that we speak; None: none of them."""
    ranks = []
    for place, part in enumerate((accept_language or "")[:_HEADER_CHARS_MAX].split(",")):
        tag, _, rest = part.partition(";")
        weight = rest.strip().removeprefix("q=").strip() or "1"
        if (code := language_of_tag(tag)) and (quality := _weight(weight)) > 0:
            ranks.append((-quality, place, code))
    return min(ranks)[2] if ranks else None


def of_environment(environment: Mapping[str, str] = os.environ) -> str:
    """The language of a command: ``FRAMERELAY_LANG``, else that of ``LC_ALL``, ``LC_MESSAGES``, or ``LANG``."""
    if code := language_of_tag(environment.get(VARIABLE)):
        return code
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    return language_of_tag(next((value for name in names if (value := environment.get(name))), None)) or ENGLISH


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
