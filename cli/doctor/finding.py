"""What one check of `doctor` found."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """``skip``: it could not be checked, and another finding says why."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """``message``: what was checked and what was found; ``advice``: what a person can do about it."""

    status: Status
    message: str
    advice: str | None = None


def ok(message: str) -> Finding:
    """As it should be."""
    return Finding(status=Status.OK, message=message)


def warn(message: str, advice: str) -> Finding:
    """It works, with something that a person should know."""
    return Finding(status=Status.WARN, message=message, advice=advice)


def fail(message: str, advice: str | None = None) -> Finding:
    """Films would not be made, or something would be lost."""
    return Finding(status=Status.FAIL, message=message, advice=advice)


def skip(message: str, advice: str | None = None) -> Finding:
    """It could not be checked."""
    return Finding(status=Status.SKIPPED, message=message, advice=advice)
