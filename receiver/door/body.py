"""Reading the body of a request, up to a limit."""

import asyncio
from contextlib import suppress
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Receive

PATIENCE_S: Final = 1.0
LENGTH_DIGITS_MAX: Final = 15


async def read_body(request: Request, *, bytes_max: int) -> bytes:
    """
    The body, as sent.

    Raises: HTTPException 413 past *bytes_max*, whatever Content-Length says, 415 for an encoded one, 400 for one that
    broke off.
    """
    length, expects = 0, False
    for name, value in request.scope["headers"]:
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            raise HTTPException(415, "send the body without Content-Encoding")
        if name == b"content-length" and value.isdigit():
            length = int(value) if len(value) <= LENGTH_DIGITS_MAX else bytes_max + 1
        elif name == b"expect":
            expects = True
    body, more = await _within(request.receive, bytes_max) if length <= bytes_max else (None, True)
    if body is not None:
        return body
    if more and not expects:
        await _pass_over(request.receive)
    raise HTTPException(413, f"the body is larger than {bytes_max} bytes", headers={"Connection": "close"})


async def _within(receive: Receive, bytes_max: int) -> tuple[bytes | None, bool]:
    """The body, or None if it is larger than *bytes_max*; and whether there is more of it."""
    chunk, more = await _next(receive)
    if not more and len(chunk) <= bytes_max:
        return chunk, more
    body = bytearray(chunk)
    while more and len(body) <= bytes_max:
        chunk, more = await _next(receive)
        body += chunk
    return (bytes(body) if len(body) <= bytes_max else None), more


async def _next(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise HTTPException(400, "the body broke off")
    return message.get("body", b""), message.get("more_body", False)


async def _pass_over(receive: Receive) -> None:
    """A connection closed with unread bytes is reset, and the sender never sees our answer: keep reading a little."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while (await _next(receive))[1]:
                pass
