"""Bytes to and from a provider: connections, writing, reading, and failures in words without secrets."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping

import httpx
import msgspec

from framerelay.runs.errors import RequestInvalid, UpstreamAnswerUnreadable
from framerelay.upstream.words import CODE_CHARACTERS_MAX, cut

ANSWER_BYTES_MAX = 4 * 1024 * 1024
KEPT_S = 4.0  # Many servers end a connection that is idle for 5 s, maybe just when we write to it again.
NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


async def read_body(response: httpx.Response) -> bytes:
    """
    The body as it came, at most ``ANSWER_BYTES_MAX``; empty for an encoded error.

    Raises: UpstreamAnswerUnreadable past that, or for an encoded success; httpx's errors.
    """
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        if not response.is_success:
            return b""  # Its status says enough; its body is not unpacked.
        word = cut(encoding, CODE_CHARACTERS_MAX)
        raise UpstreamAnswerUnreadable(f"the provider's answer is encoded ({word!r}) although asked not to be")
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > ANSWER_BYTES_MAX:
            raise UpstreamAnswerUnreadable(f"the provider's answer is larger than {ANSWER_BYTES_MAX} bytes")
    return bytes(content)


def set_on_request(leaving: asyncio.Event) -> Callable[[str, object], Awaitable[None]]:
    """For httpcore, which announces each step; everything that is not about the connection is about the request."""

    async def hear(step: str, _: object) -> None:
        if not step.startswith("connection."):
            leaving.set()

    return hear


def open_client(headers: Mapping[str, str], tls: ssl.SSLContext, *, kept_alive: int) -> httpx.AsyncClient:
    """A client without redirects and without proxies from the environment, which keeps *kept_alive* connections."""
    return httpx.AsyncClient(
        headers=headers,
        verify=tls,
        trust_env=False,
        follow_redirects=False,
        limits=httpx.Limits(max_connections=64, max_keepalive_connections=kept_alive, keepalive_expiry=KEPT_S),
    )


def encode_body(body: object) -> bytes:
    """*body* as JSON in UTF-8. Raises: RequestInvalid for values that JSON cannot express."""
    try:
        return msgspec.json.encode(body)
    except (TypeError, ValueError, RecursionError) as error:
        raise RequestInvalid(f"the input cannot be written as JSON: {error}", param="input") from error


def transport_words(error: Exception) -> str:
    """What happened, without the address: its query may hold a secret. Malformed HTTP is not quoted, either."""
    text = str(error)
    if isinstance(error, httpx.RemoteProtocolError):
        text = text.partition(":")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
