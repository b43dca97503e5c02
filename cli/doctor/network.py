"""Asking a server once, and why that did not work, in words; nothing here can hang."""

import asyncio
import errno
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import ip_address
from typing import Final, Literal, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from framerelay.config.settings import Settings
from framerelay.network.policy import is_public
from framerelay.network.tls import tls_of

WITHIN_S: Final = 8.0
BODY_BYTES_MAX: Final = 8 << 20  # Fifty callbacks as the receiver lists them, at their longest.
NEAR: Final = (".local", ".internal", ".lan", ".home.arpa")

ReachFault = Literal["name", "refused", "timeout", "tls", "broken"]
T = TypeVar("T")


class Trouble(Exception):
    """There was no answer; the message says why, ``kind`` is used to choose the advice."""

    def __init__(self, kind: ReachFault, message: str) -> None:
        super().__init__(message)
        self.kind: ReachFault = kind


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """``document`` is the JSON object in the body, empty if there is none."""

    status: int
    location: str
    body: bytes
    document: dict[str, object]

    @property
    def error(self) -> dict[str, object]:
        """The ``error`` in our envelope, empty if there is none."""
        fault = self.document.get("error")
        return fault if isinstance(fault, dict) else {}


async def ask(
    method: str, url: str, *, settings: Settings, key: str | None = None, content: bytes | None = None
) -> HttpAnswer:
    """
    One request within ``WITHIN_S``; redirects are not followed, proxies from the environment are not used.

    Raises: Trouble; SettingInvalid for a FRAMERELAY_CA_FILE that cannot be read.
    """
    tls = (tls_of(settings) if url.startswith("https:") else None) or httpx.create_ssl_context(trust_env=False)
    headers = {"User-Agent": "framerelay-doctor", "Accept-Encoding": "identity"}
    headers |= {"Authorization": f"Bearer {key}"} if key else {}
    headers |= {"Content-Type": "application/json"} if content else {}
    try:
        async with asyncio.timeout(WITHIN_S):
            await resolve(url)
            async with (
                httpx.AsyncClient(verify=tls, trust_env=False, timeout=WITHIN_S) as http,
                http.stream(method, url, headers=headers, content=content) as response,
            ):
                body = await _beginning(response)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise trouble_of(error, url) from error
    location = response.headers.get("location", "")
    return HttpAnswer(status=response.status_code, location=location, body=body, document=_object(body))


async def resolve(url: str) -> list[str]:
    """The addresses behind the host of *url*, as text. Raises: Trouble."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 0
    try:
        entries = await in_thread(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (socket.gaierror, UnicodeError) as error:
        raise trouble_of(error, url) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


async def in_thread(work: Callable[[], T]) -> T:
    """*work* in a thread that nobody waits for at the end: a name server or a disk that hangs must not block us."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # It is a T if there was no error.

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as error:
            failure = error
        with suppress(RuntimeError):  # The loop has ended without us.
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, daemon=True).start()
    return await future


def trouble_of(error: BaseException, url: str) -> Trouble:
    """What *error*, or its cause, means for a request to *url*."""
    parts = urlsplit(url)
    place = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    for cause in _causes(error):
        match cause:
            case Trouble():
                return cause
            case socket.gaierror() | UnicodeError():
                return Trouble("name", f"the name {parts.hostname} does not resolve ({_system_words(cause)})")
            case ssl.SSLCertVerificationError():
                return Trouble("tls", f"the certificate of {place} is not accepted ({cause.verify_message})")
            case ssl.SSLError():
                return Trouble("tls", f"{place} does not speak TLS as it should ({cause.reason or cause})")
            case ConnectionRefusedError():
                return Trouble("refused", f"{place} refuses connections")
            case TimeoutError() | httpx.TimeoutException():
                return Trouble("timeout", f"{place} did not answer in time")
            case OSError(errno=errno.EHOSTUNREACH | errno.ENETUNREACH):
                return Trouble("timeout", f"there is no way to {place} ({_system_words(cause)})")
    return Trouble("broken", f"{place} ended the connection without an answer ({_system_words(error)})")


class Reach(IntEnum):
    """From how far away an address can be reached."""

    MACHINE = 0
    NETWORK = 1
    WORLD = 2


LEADS: Final = {
    Reach.MACHINE: "leads to this machine itself",
    Reach.NETWORK: "leads into a private network",
    Reach.WORLD: "leads to the internet",
}


def reach_of(url: str) -> Reach:
    """As far as the text tells; a name counts as public unless it is of a kind that never is."""
    host = (urlsplit(url).hostname or "").lower().rstrip(".")
    try:
        return _reach_of_address(host)
    except ValueError:
        if host == "localhost" or host.endswith(".localhost"):
            return Reach.MACHINE
        return Reach.NETWORK if "." not in host or host.endswith(NEAR) else Reach.WORLD


def widest(addresses: list[str]) -> Reach:
    """From how far away any of *addresses* can be reached."""
    return max((_reach_of_address(address.partition("%")[0]) for address in addresses), default=Reach.WORLD)


def _reach_of_address(address: str) -> Reach:
    ip = ip_address(address)
    if ip.is_loopback or ip.is_unspecified:
        return Reach.MACHINE
    return Reach.WORLD if is_public(address) else Reach.NETWORK


def _causes(error: BaseException) -> Iterator[BaseException]:
    """*error*, and its causes: libraries wrap the operating system's message several times."""
    todo, ids = [error], set()
    while todo:
        each = todo.pop(0)
        if id(each) in ids:
            continue
        ids.add(id(each))
        yield each
        todo += [other for other in (each.__cause__, each.__context__) if other]
        if isinstance(each, BaseExceptionGroup):
            todo += each.exceptions


def _system_words(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.strip().rstrip(".").lower() or type(error).__name__


async def _beginning(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            break
    return bytes(body)


def _object(body: bytes) -> dict[str, object]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
