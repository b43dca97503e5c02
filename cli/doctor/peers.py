"""`doctor` for other servers: the receiver that the command talks to, and the provider."""

from typing import Final
from urllib.parse import urlsplit

from framerelay.cli.doctor.finding import Finding, fail, ok, warn
from framerelay.cli.doctor.network import HttpAnswer, ReachFault, Trouble, ask, resolve, trouble_of
from framerelay.config.keys import find_api_key
from framerelay.config.settings import Settings
from framerelay.network.tls import tls_of
from framerelay.runs.errors import (
    RequestInvalid,
    UpstreamAnswerUnreadable,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamUnavailable,
)
from framerelay.upstream.client import JobsClient, Timeouts

NO_SUCH_JOB: Final = "framerelay-doctor-no-such-job"
WRONG_KEY: Final = "framerelay-doctor-wrong-key"
PATIENCE: Final = Timeouts(connect_s=4.0, look_up_s=8.0)
_FIXES: Final[dict[ReachFault, str]] = {
    "name": "check the spelling of FRAMERELAY_UPSTREAM_URL, and this machine's name server",
    "refused": "check host and port of FRAMERELAY_UPSTREAM_URL; a sandbox is started with: framerelay sandbox",
    "timeout": "check FRAMERELAY_UPSTREAM_URL, and whether a firewall here lets requests out",
    "tls": "check FRAMERELAY_UPSTREAM_URL; a gateway with a certificate of its own needs FRAMERELAY_CA_FILE",
    "broken": "check FRAMERELAY_UPSTREAM_URL: http:// or https://, and the port",
}


async def look_at_receiver(settings: Settings) -> Finding:
    """Whether a receiver answers, can keep callbacks, and accepts our API key."""
    url = settings.command_url
    try:
        live = await ask("GET", f"{url}/livez", settings=settings)
        ready = await ask("GET", f"{url}/readyz", settings=settings)
        key = find_api_key(settings)
        runs = await ask("GET", f"{url}/v1/runs?limit=1", settings=settings, key=str(key) if key else None)
    except Trouble as trouble:
        return fail(
            f"no receiver answers at {url}: {trouble}",
            "start it: framerelay up, or framerelay receiver; if it runs elsewhere, set FRAMERELAY_URL",
        )
    if live.status != 200 or "status" not in live.document:
        return fail(
            f"{url} answers, but not as a FrameRelay receiver (HTTP {live.status} for /livez)",
            "another program may have that port: set FRAMERELAY_PORT, or FRAMERELAY_URL",
        )
    if ready.status != 200:
        return fail(f"the receiver at {url} cannot keep callbacks in Redis: {_reason(ready)}", "fix Redis first")
    if runs.status == 401:
        return fail(
            f"the receiver at {url} has another API key than this command",
            "run this in the folder where it runs, or set FRAMERELAY_DATA_DIR or FRAMERELAY_API_KEY to its own",
        )
    if runs.status != 200:
        return fail(f"the receiver at {url} answers HTTP {runs.status}: {_reason(runs)}", "see its log")
    return ok(f"it answers at {url}, Redis keeps what it is given, and the API key fits")


async def look_at_upstream(settings: Settings) -> Finding:
    """
    Whether the provider accepts our key, found out by asking for a job that cannot exist; costs nothing.

    Raises: SettingInvalid for a FRAMERELAY_CA_FILE that cannot be read.
    """
    if not settings.upstream_url or not settings.upstream_key:
        missing = "FRAMERELAY_UPSTREAM_URL" if not settings.upstream_url else "FRAMERELAY_UPSTREAM_KEY"
        return fail(f"{missing} is not set", "set address and key of the jobs API; to try without: framerelay demo")
    url = settings.upstream_url
    try:
        await resolve(url)
        await _ask_for_no_job(settings, str(settings.upstream_key))
    except RequestInvalid as error:
        return fail(error.message, f"correct FRAMERELAY_UPSTREAM_{'KEY' if error.param == 'key' else 'URL'}")
    except UpstreamRejected as refusal:
        return await _judge_refusal(settings, url, refusal)
    except UpstreamRateLimited as error:
        return warn(f"{url} asks us to wait: {error.message}", "try again later; something else may use the same key")
    except UpstreamAnswerUnreadable as error:
        return fail(f"{url} answers, but not as the jobs API: {error.message}", _path_advice(url))
    except (UpstreamUnavailable, Trouble) as error:
        return _no_answer(url, error)
    return warn(f"{url} knows a job that cannot exist; it may not be the jobs API", _path_advice(url))


async def _ask_for_no_job(settings: Settings, key: str) -> None:
    """Raises: what `JobsClient.get_job` raises. Returns where the job is known, which should be nowhere."""
    async with JobsClient(settings.upstream_url or "", key, timeouts=PATIENCE, tls=tls_of(settings)) as jobs:
        await jobs.get_job(NO_SUCH_JOB)


async def _judge_refusal(settings: Settings, url: str, refusal: UpstreamRejected) -> Finding:
    reason = refusal.message
    if refusal.status in (401, 403):
        return fail(f"{url} refuses the key: {reason}", "set FRAMERELAY_UPSTREAM_KEY to a key that is valid there")
    if 300 <= refusal.status <= 399:
        return fail(f"{url} leads elsewhere: {reason}", "set FRAMERELAY_UPSTREAM_URL to where it leads")
    if refusal.upstream_code is None:
        return warn(f"{url} does not answer as the jobs API does: {reason}", _path_advice(url))
    if refusal.status in (400, 404, 422):
        return await _compare_keys(settings, url)
    return warn(f"{url} answers, with an odd refusal: {reason}", "see what the provider says about it")


async def _compare_keys(settings: Settings, url: str) -> Finding:
    """Gateways also answer 404 to an unknown path, whatever the key: a wrong key shows the difference."""
    try:
        await _ask_for_no_job(settings, WRONG_KEY)
    except UpstreamRejected as refusal:
        if refusal.status in (401, 403):
            return ok(f"{url} answers as the jobs API and takes the key (asked for a job that cannot exist)")
    except (UpstreamUnavailable, UpstreamRateLimited) as error:
        return warn(f"{url} knows no such job, but did not answer a second time: {error.message}", "run doctor again")
    except UpstreamAnswerUnreadable:
        pass
    message = f"{url} answers, but the same to a wrong key: nothing tells if FRAMERELAY_UPSTREAM_KEY is right"
    return warn(message, _path_advice(url))


def _no_answer(url: str, error: UpstreamUnavailable | Trouble) -> Finding:
    """No answer at all, or one that says that it is out of order."""
    if isinstance(error, UpstreamUnavailable) and error.__cause__ is None:
        return fail(f"{url} is out of order: {error.message}", "wait; runs go on by themselves when it is back")
    trouble = trouble_of(error, url)
    return fail(f"{url} cannot be reached: {trouble}", _FIXES[trouble.kind])


def _path_advice(url: str) -> str:
    path = urlsplit(url).path
    return f"check FRAMERELAY_UPSTREAM_URL{f', above all its path {path}' if path else ''}: /v1/jobs/… is added to it"


def _reason(answer: HttpAnswer) -> str:
    return str(answer.error.get("message") or f"HTTP {answer.status}")
