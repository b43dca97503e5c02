"""`doctor` for the providers that are read by a profile: does each accept its key, and how old are the facts."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Final

from framerelay.cli.doctor.finding import Finding, fail, ok, warn
from framerelay.cli.doctor.peers import look_at_upstream
from framerelay.config.settings import Settings, environment
from framerelay.network.tls import tls_of
from framerelay.runs.errors import (
    FrameRelayError,
    NotFound,
    RequestInvalid,
    StoryboardInvalid,
    UpstreamAnswerUnreadable,
    UpstreamRejected,
)
from framerelay.runs.model import Family
from framerelay.upstream.client import JobsClient, Timeouts
from framerelay.upstream.profile_file import DEFAULT
from framerelay.upstream.providers import Provider, read_providers, require_key
from framerelay.upstream.senders import missing_secret, signs_always

NO_SUCH_JOB: Final = "framerelay-doctor-no-such-job"
PATIENCE: Final = Timeouts(connect_s=4.0, look_up_s=8.0)
OLD_DAYS: Final = 90


async def look_at_providers(settings: Settings) -> Finding | list[Finding]:
    """Whether each provider accepts its key, by its cheapest call; it spends nothing. Raises: as `look_at_upstream`."""
    try:
        providers = read_providers(settings, environment())
    except StoryboardInvalid:  # The check of the settings reports that.
        return await look_at_upstream(settings)
    except NotFound as error:
        return fail(f"FRAMERELAY_PROVIDER: {error.message}", "correct it, or name it under providers")
    own = [providers.of(name) for name in dict.fromkeys((providers.default, *providers.entries))]
    findings = [finding for one in own if not one.is_read_leniently async for finding in _look_at(one, settings)]
    if not providers.of(None).is_read_leniently or (any(providers.with_key()) and _is_left_out(settings)):
        return findings
    first = await look_at_upstream(settings)
    return [first, *findings] if findings else first


def _is_left_out(settings: Settings) -> bool:
    """Nobody configured the jobs API, which is the default if no provider is named."""
    return settings.provider == DEFAULT and not settings.upstream_url and not settings.upstream_key


async def _look_at(provider: Provider, settings: Settings) -> AsyncIterator[Finding]:
    finding = await _try_key(provider, settings)
    yield replace(finding, message=f"{provider.name}: {finding.message}")
    if (variable := missing_secret(provider)) is not None:
        habit = "are always signed" if signs_always(provider) else "can be signed"
        message = f"{provider.name}: its callbacks {habit}, and {variable} is not set"
        yield warn(message, "set it to the secret of its console; until then the token in the address is all")
    if (days := _age_days(provider)) is not None and days > OLD_DAYS:
        yield warn(
            f"{provider.name}: the facts in its profile are {days} days old", "see if a newer version has others"
        )


async def _try_key(provider: Provider, settings: Settings) -> Finding:
    try:
        key = require_key(provider).key or ""
        async with JobsClient(
            provider.base, key, profile=provider.profile, timeouts=PATIENCE, tls=tls_of(settings)
        ) as client:
            await client.get_job(NO_SUCH_JOB, model="none/none")
    except RequestInvalid as error:
        return fail(error.message, "see framerelay provider show")
    except UpstreamRejected as error:
        return _of_refusal(provider, error)
    except UpstreamAnswerUnreadable as error:
        return warn(
            f"{provider.base} answers, and not as its profile says: {error.message}", "check url, and the profile"
        )
    except FrameRelayError as error:
        return fail(f"{provider.base} cannot be asked: {error.message}", "check url, and whether it can be reached")
    return ok(f"{provider.base} takes the key (asked for a job that cannot exist)")


def _of_refusal(provider: Provider, error: UpstreamRejected) -> Finding:
    if error.status in (401, 403) or (error.family is Family.ACCOUNT and error.status != 404):
        variables = " or ".join(provider.key_variables) or "key_env"
        return fail(
            f"{provider.base} refuses the key: {error.message}", f"set {variables} to a key that is valid there"
        )
    if error.message == f"HTTP {error.status}":  # Nothing that its profile reads: it need not be about the job.
        return warn(
            f"{provider.base} answers {error.message} without a word about a job: the address may be a wrong one",
            "check url; nothing was learned about the key",
        )
    return ok(f"{provider.base} takes the key (asked for a job that cannot exist: {error.message})")


def _age_days(provider: Provider) -> int | None:
    day = provider.profile.checked
    return None if day is None else (datetime.now(UTC).date() - date.fromisoformat(day)).days
