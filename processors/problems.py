"""Errors of the lower floors as `Problem`s: what is kept with a run and shown to a person."""

from runs.errors import AddressForbidden, FrameRelayError, Transient, UpstreamRateLimited, UpstreamRejected
from runs.model import Family, Problem
from upstream.families import family_of


def problem_of(error: FrameRelayError) -> Problem:
    """What to keep of *error*: its words, a stable code, and its family."""
    if isinstance(error, UpstreamRejected):
        family = family_of(error.upstream_code, error.message, error.status)
        return Problem(code=error.upstream_code or error.code, message=error.message, family=family)
    if isinstance(error, AddressForbidden):
        return Problem(code=error.code, message=f"{error.message} (FRAMERELAY_TRUSTED_HOSTS names the exceptions)")
    return Problem(code=error.code, message=error.message, family=_family(error))


def _family(error: FrameRelayError) -> Family:
    if isinstance(error, UpstreamRateLimited):
        return Family.RATE
    return Family.SERVER if isinstance(error, Transient) else Family.UNKNOWN
