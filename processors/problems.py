"""Errors of the lower floors as `Problem`s: what is kept with a run and shown to a person, without secrets."""

from config.logs import redacted
from runs.errors import AddressForbidden, FrameRelayError, Transient, UpstreamRateLimited, UpstreamRejected
from runs.model import Family, Problem
from upstream.families import family_of


def problem_of(error: FrameRelayError) -> Problem:
    """What to keep of *error*: its words, a stable code, and its family."""
    if isinstance(error, UpstreamRejected):
        family = family_of(error.upstream_code, error.message, error.status)
        return problem(error.upstream_code or error.code, error.message, family)
    if isinstance(error, AddressForbidden):
        return problem(error.code, f"{error.message} (FRAMERELAY_TRUSTED_HOSTS names the exceptions)", Family.UNKNOWN)
    return problem(error.code, error.message, _family(error))


def problem(code: str, message: str, family: Family) -> Problem:
    """A problem in somebody else's words: a provider may repeat a signed address in them, or what was posted to it."""
    return Problem(code=redacted(code), message=redacted(message), family=family)


def _family(error: FrameRelayError) -> Family:
    if isinstance(error, UpstreamRateLimited):
        return Family.RATE
    return Family.SERVER if isinstance(error, Transient) else Family.UNKNOWN
