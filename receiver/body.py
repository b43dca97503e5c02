"""Reading a request's body no further than allowed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

PATIENCE_S: Final = 1.0


async def read_body(request: Request, *, bytes_max: int) -> bytes:
    """
    The body, as sent.

    Raises: HTTPException 413 past *bytes_max*, whatever Content-Length says, 415 for an encoded one, 400 for one that
    broke off.
    """
    encodings = request.headers.getlist("content-encoding")
    if any(encoding.strip().lower() not in ("", "identity") for encoding in encodings):
        raise HTTPException(415, "send the body without Content-Encoding")
    announced = request.headers.get("content-length", "0")
    chunks, body = request.stream(), bytearray()
    try:
        if not (announced.isdigit() and int(announced) > bytes_max):
            async for chunk in chunks:
                body += chunk
                if len(body) > bytes_max:
                    break
            else:
                return bytes(body)
        if "expect" not in request.headers:
            await _pass_over(chunks)
    except ClientDisconnect:
        raise HTTPException(400, "the body broke off") from None
    raise HTTPException(413, f"the body is larger than {bytes_max} bytes", headers={"Connection": "close"})


async def _pass_over(chunks: AsyncIterator[bytes]) -> None:
    """A connection that is closed with bytes unread is reset, and the sender never sees our answer: listen a little."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            async for _ in chunks:
                pass
