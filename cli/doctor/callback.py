"""`doctor` and the path of a callback: one is sent to ourselves, through the address that the provider is given."""

import asyncio
import re
import secrets
import time
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec

from framerelay.cli.doctor.finding import Finding, fail, ok, skip, warn
from framerelay.cli.doctor.network import (
    LEADS,
    HttpAnswer,
    Reach,
    ReachFault,
    Trouble,
    ask,
    in_thread,
    reach_of,
    resolve,
    widest,
)
from framerelay.config.keys import find_api_key, find_secret
from framerelay.config.settings import Settings, environment
from framerelay.receiver.answers import NO_SUCH_ADDRESS
from framerelay.runs.errors import NotFound, StoryboardInvalid
from framerelay.runs.tokens import ProbeAddress, Tokens
from framerelay.upstream.providers import needs_address, read_providers

LIFE_S: Final = 120
LISTED_WITHIN_S: Final = 3.0
LISTED_MAX: Final = 50  # Ours is the newest except for those that arrive at the same moment.
_TITLE: Final = re.compile(rb"<title[^>]*>\s*([^<]{1,80}?)\s*</title>", re.I)
_FIXES: Final[dict[ReachFault, str]] = {
    "name": "check the spelling of FRAMERELAY_PUBLIC_URL; a new name or tunnel may need minutes until it is known",
    "refused": "nothing listens there: start the tunnel or proxy, and check the port",
    "timeout": "a firewall may drop what comes in, or this machine cannot reach its own public address: let a machine "
    "elsewhere try it with curl",
    "tls": "a provider will refuse it, too: use a certificate for exactly this name, from a public authority",
    "broken": "check http:// or https:// and the port of FRAMERELAY_PUBLIC_URL, and where the tunnel or proxy leads",
}


async def look_at_callback(settings: Settings) -> Finding:
    """
    POST a probe as a provider would, then ask the receiver whether exactly this one arrived.

    It is sent from this machine: obstacles that only outside senders meet (a firewall) do not show.
    Raises: SettingInvalid for a stored secret that cannot be read.
    """
    secret = find_secret(settings)
    if secret is None:
        return skip("no secret signs addresses yet: the first start makes one", "start, then run doctor again")
    base = settings.reachable_url
    probe = ProbeAddress(nonce=secrets.token_hex(10), ends_at=int(time.time()) + LIFE_S)
    body = msgspec.json.encode({"object": "probe", "nonce": probe.nonce})
    began = time.monotonic()
    try:
        answer = await ask("POST", f"{base}/webhook/{Tokens(str(secret)).mint(probe)}", settings=settings, content=body)
    except Trouble as trouble:
        return _failure_to_send(settings, trouble)
    took_ms = round(1000 * (time.monotonic() - began))
    if finding := _failure_to_take(base, answer):
        return finding
    missing = await _failure_to_list(settings, probe)
    return missing or await _judge_place(settings, took_ms)


def _failure_to_send(settings: Settings, trouble: Trouble) -> Finding:
    if settings.public_url is None and trouble.kind == "refused":
        return skip(f"no receiver takes callbacks: {trouble}", "start it, then run doctor again")
    return fail(f"a callback to {settings.reachable_url} does not arrive: {trouble}", _FIXES[trouble.kind])


def _failure_to_take(base: str, answer: HttpAnswer) -> Finding | None:
    """What answered instead of a receiver that knows the address; None if it was acknowledged."""
    message = answer.error.get("message")
    if answer.status == 200 and answer.document.get("received") is True:
        return None
    if 300 <= answer.status <= 399:
        return fail(
            f"{base} leads on to {_origin(answer.location)} (HTTP {answer.status}), where a callback does not follow",
            "set FRAMERELAY_PUBLIC_URL to the address that it leads to",
        )
    if answer.status == 404 and message == NO_SUCH_ADDRESS:
        return _other_receiver(base)
    if answer.status == 503 and answer.error.get("code") == "store_unavailable":
        return fail(f"{base} leads to a receiver that cannot keep callbacks: {message}", "fix its Redis or its disk")
    return _stranger(base, answer)


def _other_receiver(base: str) -> Finding:
    path = urlsplit(base).path
    return fail(
        f"{base} leads to a FrameRelay receiver that did not make this address: it has another FRAMERELAY_SECRET, "
        f"or its clock is more than {LIFE_S // 60} minutes off{', or the path is before it' if path else ''}",
        "give both the same secret, or run this in the folder where it runs; see where the tunnel or proxy leads"
        + (f", and let it take {path} off the path" if path else ""),
    )


def _stranger(base: str, answer: HttpAnswer) -> Finding:
    title = _TITLE.search(answer.body)
    page = f', with a page named "{title[1].decode("utf-8", "replace")}"' if title else ""
    if answer.status in (401, 403, 407):
        return fail(
            f"{base} wants a log-in (HTTP {answer.status}{page}), which providers do not have",
            "let POST /webhook/… pass without one: its token is the key",
        )
    if answer.status >= 500:
        return fail(
            f"{base} leads to a proxy or tunnel with nothing behind it (HTTP {answer.status}{page})",
            "start the receiver, and let the proxy or tunnel lead to its port",
        )
    return fail(
        f"another server answers at {base} (HTTP {answer.status}{page})",
        "see where the tunnel or proxy leads; if the page is a tunnel's own warning, turn it off or use another tunnel",
    )


async def _failure_to_list(settings: Settings, probe: ProbeAddress) -> Finding | None:
    """Why the receiver that the command talks to does not show what was acknowledged; None if it does."""
    url, key = settings.command_url, find_api_key(settings)
    deadline = time.monotonic() + LISTED_WITHIN_S
    while True:
        try:
            page = await ask(
                "GET", f"{url}/v1/callbacks?limit={LISTED_MAX}", settings=settings, key=str(key) if key else None
            )
        except Trouble as trouble:
            return _lookup_warning(settings, f"could not be looked for: {trouble}")
        if page.status == 503:
            reason = page.error.get("message") or "HTTP 503"
            return fail(f"a callback was acknowledged, but the receiver cannot show it: {reason}", "fix Redis first")
        if page.status != 200:
            return _lookup_warning(settings, f"could not be looked for: {url} answers HTTP {page.status}")
        records = page.document.get("data")
        if any(_is_probe(record, probe) for record in (records if isinstance(records, list) else [])):
            return None
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(0.2)
    return fail(
        f"a callback to {settings.reachable_url} was acknowledged, but did not come to the receiver at {url}: "
        "the address leads to another one with the same secret",
        "let both use the same Redis, or see where the tunnel or proxy leads",
    )


def _lookup_warning(settings: Settings, why: str) -> Finding:
    message = f"a callback to {settings.reachable_url} was acknowledged by a receiver with our secret, but {why}"
    return warn(message, "fix what is said about the receiver above, then run doctor again")


def _is_probe(record: object, probe: ProbeAddress) -> bool:
    return isinstance(record, dict) and (record.get("id"), record.get("outcome")) == (f"cb_{probe.nonce}", "probe")


async def _judge_place(settings: Settings, took_ms: int) -> Finding:
    """It arrived; what remains is whether the provider is in the same place as we are."""
    base = settings.reachable_url
    urls = await in_thread(lambda: _provider_urls(settings))
    provider = max(map(reach_of, urls), default=Reach.WORLD)
    if settings.public_url is None and provider is not Reach.MACHINE:
        return warn(
            f"FRAMERELAY_PUBLIC_URL is not set: the provider is given {base}, which it cannot reach; films are made "
            f"all the same, each job being looked up after {settings.lookup_after_s:.0f} s instead of at once",
            "set it to an address that leads to this receiver; a tunnel will do",
        )
    arrival = f"a callback to {base} came back in {took_ms} ms and is kept"
    if settings.public_url is None:
        return ok(f"{arrival} (FRAMERELAY_PUBLIC_URL is not set; the provider is on this machine)")
    try:
        reach = widest(await resolve(base))
        if reach < provider and await _is_public(urls):
            return warn(
                f"{arrival}, but its name {LEADS[reach]} from here, and the provider is elsewhere",
                "make sure that the name leads to a public address for others",
            )
    except Trouble:
        pass  # It resolved a moment ago; the callback came.
    return ok(f"{arrival}; this machine sent it: a firewall that only strangers meet does not show")


def _provider_urls(settings: Settings) -> list[str]:
    """The addresses of those that may call: every provider with a key; if none has one, what the settings say."""
    try:
        providers = read_providers(settings, environment())
    except (NotFound, StoryboardInvalid):  # Another check reports that.
        return [settings.upstream_url] if settings.upstream_url else []
    bases = [each.base for each in providers.with_key() if not needs_address(each)]
    return bases or ([settings.upstream_url] if settings.upstream_url else [])


async def _is_public(urls: Sequence[str]) -> bool:
    """Whether an address of a provider is public: a company's gateway may have a public name and a private one."""
    try:
        return not urls or max([widest(await resolve(url)) for url in urls]) is Reach.WORLD
    except Trouble:
        return True


def _origin(location: str) -> str:
    parts = urlsplit(location)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else "another path"
