"""Errors of the packages below as `Problem`s: what is stored with a run and shown to a person, without secrets."""

from framerelay.config.logs import redact
from framerelay.runs.errors import (
    AddressForbidden,
    FrameRelayError,
    KeyMissing,
    Transient,
    UpstreamRateLimited,
    UpstreamRejected,
)
from framerelay.runs.model import Family, Problem
from framerelay.upstream.families import family_of
from framerelay.upstream.words import CODE_CHARACTERS_MAX, MESSAGE_CHARACTERS_MAX, cut

OUR_WORDS_CHARACTERS_MAX = 300  # What we say around the words of others, which were cut when they came in.


def problem_of(error: FrameRelayError) -> Problem:
    """What to store about *error*: its message, a stable code, and its family."""
    if isinstance(error, UpstreamRejected):
        family = error.family or family_of(error.upstream_code, error.message, error.status)
        return problem(error.upstream_code or error.code, error.message, family)
    if isinstance(error, AddressForbidden):
        return problem(error.code, f"{error.message} (FRAMERELAY_TRUSTED_HOSTS names the exceptions)", Family.UNKNOWN)
    return problem(error.code, error.message, _family(error))


def problem(code: str, message: str, family: Family) -> Problem:
    """
    A problem in somebody else's words, cut again: a run is stored with them, and shown in lists.

    A provider may repeat a signed address in its message, or what was posted to it.
    """
    text = cut(redact(message), MESSAGE_CHARACTERS_MAX + OUR_WORDS_CHARACTERS_MAX)
    return Problem(code=cut(redact(code), CODE_CHARACTERS_MAX), message=text, family=family)


def _family(error: FrameRelayError) -> Family:
    if isinstance(error, KeyMissing):
        return Family.ACCOUNT
    if isinstance(error, UpstreamRateLimited):
        return Family.RATE
    return Family.SERVER if isinstance(error, Transient) else Family.UNKNOWN
