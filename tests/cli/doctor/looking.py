"""What the tests of `doctor` share: servers that answer what they are told, and what a finding must say."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from starlette.datastructures import Secret

from framerelay.cli.doctor.finding import Finding, Status
from framerelay.config.settings import Settings

NOWHERE = "http://127.0.0.1:9"
API_KEY, SECRET = Secret("fr_test"), Secret("only for tests")
SECRET_KEY = Secret("sk-sandbox")
LOOKED_AT = ["settings", "data", "redis", "storage", "receiver", "worker", "processes", "upstream", "callback"]


@asynccontextmanager
async def impostor(*answers: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that gives its *answers* (status line, headers, body) in turn, the last for ever; its host:port."""
    coming = list(answers)

    async def give(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.read(1 << 16)
            if answer := coming.pop(0) if len(coming) > 1 else coming[0]:
                head, _, body = answer.partition("\n\n")
                lines = head.replace("\n", "\r\n")
                length = len(body.encode())
                writer.write(f"HTTP/1.1 {lines}\r\nContent-Length: {length}\r\n\r\n{body}".encode())
                await writer.drain()
            await reader.read()
        writer.close()

    server = await asyncio.start_server(give, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def settings_of(relay: Any, **fields: Any) -> Settings:
    """The settings of a relay that runs in this test, as a person's shell would give them to `doctor`."""
    return replace(relay.settings, **{"api_key": (API_KEY,), "secret": SECRET, **fields})


def assert_finding(finding: Finding, status: Status, *words: str) -> None:
    """The finding has that status, and all *words* are in it."""
    assert finding.status is status, finding
    whole = f"{finding.message} {finding.advice or ''}"
    assert [word for word in words if word not in whole] == [], whole


CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgt1N0ponFwRM9ym3+
uBdIjuGe/btOYmouGWM0WDV6wsKhRANCAASsDzrP+V8v6H5QAxBNGgv+GzgKjqDw
4eyvjcTuxErcALgtfIPVaC66GC2/Tu+/5xIR0ni4QtpfsWF4JNeBdNfn
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBmDCCAT6gAwIBAgIUFbUBBo87uEsu65haZgZgNNxPQukwCgYIKoZIzj0EAwIw
FTETMBEGA1UEAwwKcmVsYXkudGVzdDAgFw0yNjExMjIyMDEzMzFaGA8yMTI2MTAy
OTIwMTMzMVowFTETMBEGA1UEAwwKcmVsYXkudGVzdDBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABKwPOs/5Xy/oflADEE0aC/4bOAqOoPDh7K+NxO7EStwAuC18g9Vo
LroYLb9O77/nEhHSeLhC2l+xYXgk14F01+ejajBoMB0GA1UdDgQWBBTolmNuA+0n
h+r5IvTvzL+EB4BtjjAfBgNVHSMEGDAWgBTolmNuA+0nh+r5IvTvzL+EB4BtjjAP
BgNVHRMBAf8EBTADAQH/MBUGA1UdEQQOMAyCCnJlbGF5LnRlc3QwCgYIKoZIzj0E
AwIDSAAwRQIhAJpEEjaxkfA+5JLQ2BdhLopb6Zr9KWdQIuZy2obO001GAiBhulMg
fXOHTKbaxPoedlOZR2/cgcVP4WMkr7fuv1EGRw==
-----END CERTIFICATE-----
"""
