"""Any header and any body, at each scheme of signatures: nothing that is sent is a 500."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.security.signing import DONE, STANDARD, TAKE, signed


class Door:
    """A receiver on a loop that runs only while it is asked, so that a property can be put to it example by example."""

    def __init__(self, client: Any) -> None:
        self._runner = asyncio.Runner()
        self._context = client

    def __enter__(self) -> "Door":
        self.relay = self._runner.run(self._context.__aenter__())
        self.path = f"/webhook/{self.relay.tokens.mint(TAKE)}"
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._context.__aexit__(None, None, None))
        self._runner.close()

    def status(self, raw: bytes) -> int:
        """The status that *raw* is answered with; 0 if the connection was closed without a word."""
        return self._runner.run(self._say(raw))

    async def _say(self, raw: bytes) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.relay.settings.port)
        writer.write(raw)
        async with asyncio.timeout(60):
            line = await reader.readline()
        writer.close()
        return int(line.split(b" ")[1]) if line else 0


SCHEMES = {
    "standard": STANDARD,
    "hmac": "{scheme: hmac, secret_file: secret, header: webhook-signature, prefix: 'sha256='}",
    "timestamped": "{scheme: timestamped, secret_file: secret, header: webhook-signature}",
    "kie": "{scheme: kie, secret_file: secret, header: webhook-signature, timestamp_header: webhook-timestamp}",
    "static": "{scheme: static, secret_file: secret, header: webhook-signature}",
    "fal": "{scheme: fal, jwks_url: 'http://127.0.0.1:1/none'}",
    "gemini-v1a": "{scheme: gemini-v1a, jwks_url: 'http://127.0.0.1:1/none'}",
    "vidu": "{scheme: vidu, secret_file: secret}",
    "pixverse": "{scheme: pixverse, secret_file: secret}",
}
NAMES = [
    b"webhook-id",
    b"webhook-timestamp",
    b"webhook-signature",
    *(f"x-fal-webhook-{n}".encode() for n in ("request-id", "user-id", "timestamp", "signature")),
    *(b"date", b"x-request-nonce", b"x-hmac-signed-headers", b"x-hmac-signature", b"webhook-nonce"),
]
PLAIN = [b"", b" ", b"v1", b"v1,", b"v1a,x", b"t=", b"t=,v1=", b"sha256=", b"v1,\xff\xfe", b"0" * 128, b"9" * 300, b","]
VALUES = st.one_of(
    st.sampled_from([*PLAIN, *(value.encode() for value in signed().values())]),
    st.binary(max_size=60).map(lambda raw: raw.translate(None, b"\r\n\0")),
)
BODIES = st.one_of(st.sampled_from([DONE, b"", b"{", b"[]", b'{"id":5}', b"\xff", b"[" * 500]), st.binary(max_size=80))


@pytest.fixture(params=SCHEMES)
def door(request: pytest.FixtureRequest, verifying: Any) -> Iterator[Door]:
    """One receiver for each scheme."""
    with Door(verifying(f"verify: {SCHEMES[request.param]}")) as door:
        yield door


def test_no_header_and_no_body_is_a_500(door: Door) -> None:
    """Property: names in any case, doubled, empty, of any bytes, with whatever body; and nothing unsigned passes."""
    statuses: set[int] = set()

    @settings(max_examples=60)
    @given(
        headers=st.lists(st.tuples(st.sampled_from(NAMES), st.booleans(), VALUES), max_size=6),
        body=BODIES,
    )
    def ask(headers: list[tuple[bytes, bool, bytes]], body: bytes) -> None:
        lines = [name.upper() + b": " + value if loud else name + b":" + value for name, loud, value in headers]
        head = [f"POST {door.path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}".encode(), *lines]
        status = door.status(b"\r\n".join([*head, b"Connection: close", b"", b""]) + body)
        statuses.add(status)
        right = dict((name, value) for name, _, value in headers)
        if status == 200:
            assert body == DONE
            assert {name: right[name.encode()].decode() for name in signed()} == signed(at=float(right[NAMES[1]]))

    ask()
    assert 401 in statuses
    assert statuses <= {200, 400, 401}
