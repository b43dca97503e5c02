"""Redis servers by hand: a primary with its copies, sentinels, and the address that moves between them."""

import asyncio
import os
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import count
from pathlib import Path
from typing import Any, Final, Self

import redis as redis_sync
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from framerelay.store.embedded import find_server
from tests.waiting import wait_for

WITHIN_S = 90.0


@dataclass(slots=True, kw_only=True)
class Server:
    """One that runs; ``ask`` speaks to it."""

    port: int
    process: subprocess.Popen[bytes]
    password: str | None = None
    ca: Path | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def ask(self, *words: Any) -> Any:
        tls: dict[str, Any] = {"ssl": True, "ssl_ca_certs": str(self.ca)} if self.ca else {}
        with redis_sync.Redis(port=self.port, password=self.password, socket_timeout=30, **tls) as client:
            return client.execute_command(*words)

    def wait_until(self, section: str, **fields: Any) -> None:
        """Until ``INFO`` says so."""

        def says_so() -> bool:
            facts = self.ask("INFO", section)
            return all(facts.get(name) == value for name, value in fields.items())

        wait_for(says_so, lambda: str(self.ask("INFO", section)))

    def kill(self) -> None:
        """SIGKILL."""
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


PORTS: Final = range(10_000, 32_000)  # Below those that systems give to outgoing connections by themselves.
_next_port: Final = count(os.getpid() * 211)


def free_port() -> int:
    """One that nobody has, and nobody gets by chance before a server that starts slowly has taken it."""
    for number in _next_port:
        port = PORTS[number % len(PORTS)]
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError


@contextmanager
def running(folder: Path, *options: str, words: tuple[str, ...] = (), port: int | None = None) -> Iterator[Server]:
    """A server in *folder*, which is made; *options* as on its command line, *words* in front of them."""
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    command = [str(find_server()), *words, "--port", str(port), "--dir", str(folder), "--save", "", *options]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    server = Server(port=port, process=process)
    try:
        wait_for_pong(port, folder)
        yield server
    finally:
        server.kill()


def server_with_tls() -> Path | None:
    """
    What `make test-machines` installs as root on Debian; None elsewhere: the server from the wheel speaks no TLS.

    The tool that looks at files is the server itself, by another name, and brings no service along.
    """
    names = ("redis-server", "valkey-server", "redis-check-rdb", "valkey-check-rdb")
    places = [place for name in names if (place := shutil.which(name))]
    return Path(places[0]) if places else None


@contextmanager
def running_with_tls(
    folder: Path, ca: Path, *options: str, words: tuple[str, ...] = (), port: int | None = None
) -> Iterator[Server]:
    """As `running`, with TLS alone; it shows the certificate of `authority`."""
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    program = server_with_tls()
    assert program is not None
    keys = ("--tls-cert-file", str(ca), "--tls-key-file", str(ca.with_name("key.pem")), "--tls-ca-cert-file", str(ca))
    tls = ("--port", "0", "--tls-port", str(port), *keys, "--tls-auth-clients", "no", "--tls-replication", "yes")
    command = ["redis-server", *words, *tls, "--dir", str(folder), *options]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, executable=program, stdout=log, stderr=log, cwd=folder)
    server = Server(port=port, process=process, ca=ca)
    try:
        wait_for(lambda: _has_pong(server), lambda: (folder / "log").read_text())
        yield server
    finally:
        server.kill()


def _has_pong(server: Server) -> bool:
    with suppress(redis_sync.ConnectionError):
        server.ask("PING")
        return True
    return False


def wait_for_pong(port: int, folder: Path) -> None:
    def is_up() -> bool:
        with redis_sync.Redis(port=port) as client, suppress(redis_sync.ConnectionError, redis_sync.ResponseError):
            with suppress(redis_sync.AuthenticationError):
                client.ping()
            return True
        return False

    wait_for(is_up, lambda: (folder / "log").read_text())


@contextmanager
def primary_and_copy(folder: Path, *options: str) -> Iterator[tuple[Server, Server]]:
    """Two that sync each write, the second one a replica that is up to date."""
    durable = ("--appendonly", "yes", "--appendfsync", "always", "--repl-diskless-sync-delay", "0", *options)
    with running(folder / "primary", *durable) as primary:
        to_it = ("--replicaof", f"127.0.0.1 {primary.port}")
        with running(folder / "copy", *durable, *to_it) as copy:
            copy.wait_until("replication", master_link_status="up")
            assert primary.ask("WAIT", 1, 60_000) == 1
            primary.ask("CONFIG", "RESETSTAT")
            yield primary, copy


@dataclass
class Forwarder:
    """
    An address that leads to one server, and then to another; who is connected is cut off when it moves.

    *tls*: it is spoken there, since the server from the wheel cannot.
    """

    target: int
    port: int = 0
    tls: ssl.SSLContext | None = None
    _lines: set[asyncio.StreamWriter] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._cut()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def move_to(self, port: int) -> None:
        self.target = port
        self._cut()

    def _cut(self) -> None:
        for line in self._lines:
            line.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            their_reader, their_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        lines = {writer, their_writer}
        self._lines |= lines
        await asyncio.gather(_pump(reader, their_writer, self.passes), _pump(their_reader, writer))
        self._lines -= lines

    async def passes(self, piece: bytes) -> None:
        """Returns when *piece*, which somebody sent to the server, may go on."""


async def _pump(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    passes: Callable[[bytes], Awaitable[None]] | None = None,
) -> None:
    with suppress(OSError):
        while piece := await reader.read(1 << 16):
            if passes:
                await passes(piece)
            writer.write(piece)
            await writer.drain()
    writer.close()


def authority(folder: Path, *addresses: str) -> Path:
    """``folder/ca.pem``: of nobody's authority, for localhost and IP *addresses*; its key is in ``key.pem``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay.test")])
    now = datetime.now(UTC)
    ips = [x509.IPAddress(ip_address(each)) for each in addresses]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost"), *ips]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "ca.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return folder / "ca.pem"


def tls_server(ca: Path) -> ssl.SSLContext:
    """For a server that shows the certificate of `authority`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca, ca.with_name("key.pem"))
    return context
