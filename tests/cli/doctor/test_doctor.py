"""`doctor`: every way in which a set-up can be wrong has a sentence of its own, and a callback really makes the way."""

import asyncio
import json
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis as redis_sync
from starlette.datastructures import Secret

from framerelay.cli.doctor import callback, diagnosis, network, redis
from framerelay.cli.doctor.callback import look_at_callback
from framerelay.cli.doctor.finding import Finding, Status
from framerelay.cli.doctor.house import look_at_data, look_at_settings
from framerelay.cli.doctor.network import reach_of
from framerelay.cli.doctor.peers import look_at_receiver, look_at_upstream
from framerelay.cli.doctor.redis import look_at_redis, look_at_worker
from framerelay.cli.http import listening_on
from framerelay.cli.serve import running_receiver
from framerelay.config.keys import Keys
from framerelay.config.settings import Settings
from framerelay.processors.worker import LEASE_S, WORKER
from framerelay.runs.tokens import HookAddress, ProbeAddress
from framerelay.store import inbox
from framerelay.store.embedded import EmbeddedRedis, find_server, is_answering
from framerelay.store.tasks import QUEUE

NOWHERE = "http://127.0.0.1:9"
API_KEY, SECRET = Secret("fr_test"), Secret("only for tests")
SECRET_KEY = Secret("sk-sandbox")
LOOKED_AT = ["settings", "data", "redis", "receiver", "worker", "processes", "upstream", "callback"]


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


@pytest.fixture
def start_redis() -> Iterator[Callable[..., str]]:
    """``start_redis("--appendonly", "no")``: a server with these arguments; returns its URL."""
    started: list[tuple[subprocess.Popen[bytes], Path]] = []

    def start(*arguments: str) -> str:
        folder = Path(tempfile.mkdtemp(prefix="fr-doctor-"))
        command = [str(find_server()), "--port", "0", "--unixsocket", f"{folder}/s", "--dir", str(folder), *arguments]
        started.append((subprocess.Popen(command, stdout=subprocess.DEVNULL), folder))
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            with redis_sync.Redis.from_url(f"unix://{folder}/s") as client:
                try:
                    client.ping()
                    break
                except redis_sync.AuthenticationError:
                    break
                except redis_sync.ConnectionError:
                    time.sleep(0.01)
        return f"unix://{folder}/s"

    yield start
    for process, folder in started:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time-outs of a moment, so that a test of silence is short."""
    monkeypatch.setattr(network, "WITHIN_S", 0.5)
    monkeypatch.setattr(redis, "COMMAND_S", 0.5)
    monkeypatch.setattr(callback, "LISTED_WITHIN_S", 0.5)


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """A certificate of nobody's authority, for relay.test; ``tmp_path / "pem"`` holds it."""
    (tmp_path / "pem").write_text(CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pem")
    return context


def of(relay: Any, **chosen: Any) -> Settings:
    """The settings of a relay that runs in this test, as a person's shell would give them to `doctor`."""
    return replace(relay.settings, **{"api_key": (API_KEY,), "secret": SECRET, **chosen})


def said(finding: Finding, status: Status, *words: str) -> None:
    """The finding has that status, and all *words* stand in it."""
    assert finding.status is status, finding
    whole = f"{finding.message} {finding.advice or ''}"
    assert [word for word in words if word not in whole] == [], whole


@pytest.mark.anyio
async def test_a_probe_is_kept_like_a_callback_and_asks_for_nothing(start_relay: Any, redis: Any) -> None:
    """Under the id that its sender chose, so that it is found again; no task, whatever its body says."""
    async with start_relay(NOWHERE, worker=False) as relay:
        address = "/webhook/" + relay.tokens.mint(ProbeAddress(nonce="abc", ends_at=int(time.time()) + 60))
        answer = await relay.api.post(address, json={"id": "job_1", "status": "succeeded"})
        (record,) = (await relay.api.get("/v1/callbacks")).json()["data"]
        replayed = await relay.api.post("/v1/callbacks/cb_abc/replay")

    assert (answer.status_code, answer.json()["received"]) == (200, True)
    assert (record["id"], record["outcome"], record["run"], record["hook"]) == ("cb_abc", "probe", None, None)
    assert await redis.zcard(QUEUE) == 0
    assert (replayed.status_code, replayed.json()["error"]["code"]) == (409, "conflict")
    assert "about no job" in replayed.json()["error"]["message"]


@pytest.mark.anyio
async def test_the_address_of_a_probe_opens_nothing_when_its_time_is_over(start_relay: Any) -> None:
    """It cannot be used as a way in later."""
    async with start_relay(NOWHERE, worker=False) as relay:
        address = "/webhook/" + relay.tokens.mint(ProbeAddress(nonce="abc", ends_at=int(time.time())))
        assert (await relay.api.post(address, json={})).status_code == 404


@pytest.mark.anyio
async def test_a_worker_is_noticed_while_it_runs(start_relay: Any, redis: Any, wait_until: Any) -> None:
    """From its start on, and for seconds only after it was killed."""
    async with start_relay(NOWHERE):
        await wait_until(lambda: redis.exists(WORKER), "the worker says that it is there")
        assert 0 < await redis.pttl(WORKER) <= LEASE_S * 1000


def test_when_all_is_well_it_says_so_and_spends_nothing(relay: Any, provider: Any) -> None:
    """A line for each look, exit 0; the callback came through the receiver, and the provider saw no submit."""
    before = provider.journal()["submits"]
    ended = relay.run("doctor")

    assert (ended.code, ended.err, ended.last) == (0, "", "all is well")
    assert [line.split()[:2] for line in ended.out.splitlines()[:-1]] == [["ok", name] for name in LOOKED_AT]
    assert relay.api("/v1/callbacks?limit=1")["data"][0]["outcome"] == "probe"
    assert provider.journal()["submits"] == before


def test_wrong_keys_are_told_apart_and_every_look_is_taken(relay: Any) -> None:
    """The provider's key, the receiver's key and the secret, each by its variable; for programs as JSON."""
    wrong = relay.having(UPSTREAM_KEY="sk-not-this-one", SECRET="not this one at all", API_KEY="fr_not_this_one_at_all")
    ended = wrong.run("doctor", "--json")
    answer = json.loads(ended.out)

    assert (ended.code, ended.err) == (1, "")
    assert (answer["object"], answer["ok"]) == ("diagnosis", False)
    assert [check["name"] for check in answer["checks"]] == LOOKED_AT
    found = {check["name"]: check for check in answer["checks"]}
    failed = [name for name, check in found.items() if check["status"] == "fail"]
    assert failed == ["receiver", "processes", "upstream", "callback"]
    assert "another FRAMERELAY_SECRET" in found["processes"]["message"]
    assert "FRAMERELAY_API_KEY" in found["receiver"]["advice"]
    assert "FRAMERELAY_UPSTREAM_KEY" in found["upstream"]["advice"]
    assert "another FRAMERELAY_SECRET" in found["callback"]["message"]
    assert "sk-not-this-one" not in ended.out


def test_before_anything_was_started_it_leaves_no_trace(shell: Any, tools: Any) -> None:
    """It says what to start and what to set; no folder, key, server or process is made for it."""
    ended = shell.having(PORT=tools.free_port()).run("doctor")

    assert ended.code == 1
    assert [line.split()[:2] for line in ended.out.splitlines() if not line.startswith(" ")][:-1] == [
        *(["ok", "settings"], ["ok", "data"], ["ok", "redis"], ["FAIL", "receiver"], ["FAIL", "worker"]),
        *(["--", "processes"], ["FAIL", "upstream"], ["--", "callback"]),
    ]
    assert list(shell.folder.iterdir()) == []
    assert tools.left_over(shell.folder) == []


def test_a_setting_that_cannot_be_read_is_a_finding_like_any_other(shell: Any) -> None:
    """Also for a program that reads JSON."""
    ended = shell.having(PORT="many").run("doctor", "--json")
    checks = json.loads(ended.out)["checks"]

    assert ended.code == 1
    assert "FRAMERELAY_PORT = 'many'" in checks[0]["message"]
    assert [check["status"] for check in checks] == ["fail"] + ["skipped"] * 7


@pytest.mark.anyio
async def test_a_look_that_hangs_or_breaks_keeps_nobody_waiting() -> None:
    """It becomes a finding; the looks after it are taken."""

    async def hang(_: Settings) -> Finding:
        await asyncio.Event().wait()
        raise AssertionError

    async def burst(_: Settings) -> Finding:
        raise RuntimeError("a bug of ours")

    async def forbidden(_: Settings) -> Finding:
        raise PermissionError(13, "Permission denied", "data/secret")

    for look, within_s, words in (
        (hang, 0.01, "no answer came in time"),
        (burst, 1, "a bug of ours"),
        (forbidden, 1, "run this as the user that runs FrameRelay"),
    ):
        found = await diagnosis._in_time(look, Settings(), within_s)
        assert isinstance(found, Finding)
        said(found, Status.FAIL, words)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (
            {"public_url": "http://relay.example.com"},
            "FRAMERELAY_PUBLIC_URL = http://relay.example.com is not encrypted",
        ),
        ({"public_url": "https://127.0.0.1:8443"}, "leads to this machine itself"),
        ({"public_url": "http://192.168.1.5:8080"}, "leads into a private network"),
        ({"upstream_url": "http://api.example.com"}, "the key travels readable"),
        ({"secret": Secret("tiny-1")}, "FRAMERELAY_SECRET: it is shorter than 20 characters"),
        ({"api_key": (Secret("tiny-1"),)}, "FRAMERELAY_API_KEY: it is shorter than 20 characters"),
        ({"read_key": (Secret("changeme-changeme-changeme"),)}, "FRAMERELAY_READ_KEY: it is made of words"),
    ],
)
async def test_weak_settings_are_named(chosen: dict[str, Any], words: str) -> None:
    """One warning each, and never the secret itself."""
    sound = {"upstream_url": "https://api.example.com", "public_url": "https://relay.example.com"}
    assert [each.status for each in await look_at_settings(Settings(**sound))] == [Status.OK]  # type: ignore[arg-type]

    (finding,) = await look_at_settings(Settings(**{**sound, **chosen}))
    said(finding, Status.WARN, words)
    assert not {"tiny-1", "changeme"} & set(f"{finding.message}{finding.advice}".split())


@pytest.mark.anyio
async def test_a_provider_next_door_may_call_next_door() -> None:
    """The sandbox, or a gateway in the same network: private addresses are as good as any, and need no TLS."""
    for upstream, public in (
        ("http://127.0.0.1:8090", "http://127.0.0.1:8080"),
        ("http://gateway:8000", "http://10.0.0.2:8080"),
        ("http://10.0.0.1", "http://relay:8080"),
    ):
        trusted = frozenset({upstream.removeprefix("http://")})
        settings = Settings(upstream_url=upstream, public_url=public, trusted_hosts=trusted)
        assert [each.status for each in await look_at_settings(settings)] == [Status.OK]
        (finding,) = await look_at_settings(replace(settings, trusted_hosts=frozenset()))
        said(finding, Status.WARN, "clips that", "FRAMERELAY_TRUSTED_HOSTS=")
    assert reach_of("https://203.0.113.9") < reach_of("https://8.8.8.8")


@pytest.mark.anyio
async def test_misspelt_variables_and_a_bad_settings_file_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in a line of its own; the file would stop the start, so it fails."""
    monkeypatch.setenv("FRAMERELAY_PUBLIC_UR", "https://relay.example.com")
    (tmp_path / "framerelay.yaml").write_text("hook: {}\n")
    settings = Settings(config_file=tmp_path / "framerelay.yaml", ca_file=tmp_path / "none.pem")
    typo, authorities, file = await look_at_settings(settings)

    said(authorities, Status.FAIL, "FRAMERELAY_CA_FILE")
    said(typo, Status.WARN, "did you mean FRAMERELAY_PUBLIC_URL?")
    said(file, Status.FAIL, "framerelay.yaml", "hook")


@pytest.mark.anyio
async def test_a_hook_that_the_worker_would_not_start_with_is_said(tmp_path: Path) -> None:
    """Its messages would go to a private address, which only a trusted host may have."""
    file = tmp_path / "framerelay.yaml"
    file.write_text("hooks: {night: {notify_url: 'http://127.0.0.1:9/done'}}\n")
    trusting = Settings(config_file=file, trusted_hosts=["127.0.0.1:9"], api_key=["k" * 43])
    said((await look_at_settings(Settings(config_file=file)))[-1], Status.FAIL, "framerelay.yaml", "notify_url")
    assert not [found for found in await look_at_settings(trusting) if found.status is Status.FAIL]


@pytest.mark.anyio
async def test_a_proof_that_the_receiver_would_not_start_with_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its secret is missing; a mistake that hooks and proofs both stumble over is said once; a secret that is there."""
    file = tmp_path / "framerelay.yaml"
    settings = Settings(config_file=file, trusted_hosts=frozenset({"bad/host"}))
    file.write_text("verify: {scheme: hmac, header: X-Signature}\n")
    said((await look_at_settings(settings))[-1], Status.FAIL, "framerelay.yaml", "secret_env", "the receiver does not")
    file.write_text("verify: {scheme: hmac, header: X-Signature, secret_env: HOOK_SECRET}\nhook: {}\n")
    settings = replace(settings, trusted_hosts=frozenset())
    both, proof = await look_at_settings(settings)
    said(both, Status.FAIL, "hook", "nothing starts")
    said(proof, Status.FAIL, "the variable HOOK_SECRET is not set")
    assert "hook:" not in proof.message

    file.write_text("verify: {scheme: hmac, header: X-Signature, secret_env: HOOK_SECRET}\n")
    monkeypatch.setenv("HOOK_SECRET", "c2VjcmV0IHNlY3JldCBzZWNyZXQ=")
    assert [each.status for each in await look_at_settings(settings)] == [Status.OK]


@pytest.mark.anyio
async def test_a_data_folder_that_is_none_or_full_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clips and callbacks would have no place. A full disk is pretended: filling one takes another file system."""
    (tmp_path / "file").write_text("")
    said(await look_at_data(Settings(data_dir=tmp_path / "file")), Status.FAIL, "it is not a folder")
    said(await look_at_data(Settings(data_dir=tmp_path / "new" / "data")), Status.OK, "can be made")
    assert not (tmp_path / "new").exists()
    for free, status in ((1 << 30, Status.WARN), (1 << 20, Status.FAIL)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: shutil._ntuple_diskusage(9, 9, free))  # type: ignore[attr-defined]
        said(await look_at_data(Settings(data_dir=tmp_path)), status, "are free", "free some space")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ("--appendonly yes --appendfsync always", Status.OK, "syncs each write"),
        ("--appendonly yes --appendfsync everysec", Status.OK, "each second"),
        ("--appendonly yes --appendfsync no", Status.WARN, "appendfsync no"),
        ("--appendonly no", Status.FAIL, "gone when it restarts"),
        ("--appendonly yes --maxmemory-policy allkeys-lru --maxmemory 100mb", Status.FAIL, "allkeys-lru"),
        ("--appendonly yes --maxmemory-policy volatile-lru", Status.WARN, "now it has no limit"),
        ("--appendonly no --rename-command CONFIG nothing", Status.WARN, "durability: declared, not checked"),
        ("--appendonly yes --requirepass secret", Status.FAIL, "password"),
    ],
)
async def test_what_a_redis_would_lose_is_said(
    start_redis: Callable[..., str], arguments: str, status: Status, words: str
) -> None:
    """Each way of losing what was acknowledged; a service that hides its settings is a warning, no failure."""
    said(await look_at_redis(Settings(redis_url=start_redis(*arguments.split()))), status, words)


@pytest.mark.anyio
async def test_a_redis_that_is_not_there_or_hangs_is_said(impatient: None) -> None:
    """Without the password that its address may hold."""
    gone = await look_at_redis(Settings(redis_url="redis://:hidden@127.0.0.1:9/0"))
    said(gone, Status.FAIL, "redis://127.0.0.1:9/0")
    assert "hidden" not in f"{gone.message}{gone.advice}"
    async with impostor("") as place:
        settings = Settings(redis_url=f"redis://{place}")
        server, worker = await asyncio.gather(look_at_redis(settings), look_at_worker(settings))
    said(server, Status.FAIL, "in time")
    said(worker, Status.SKIPPED, "does not answer")


@pytest.mark.anyio
async def test_a_redis_that_is_too_old_is_said() -> None:
    """It answers as one of version 6 does, of which there is none to install here."""

    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while command := await reader.read(1 << 12):
            writer.write(b"-ERR syntax error\r\n" if b"\r\nSET\r\n" in command else b"+OK\r\n" * command.count(b"*"))
        writer.close()

    server = await asyncio.start_server(old, "127.0.0.1", 0)
    async with server:
        url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        said(await look_at_redis(Settings(redis_url=url)), Status.FAIL, "too old")


@pytest.mark.anyio
async def test_our_own_redis_that_hangs_is_said(tmp_path: Path, impatient: None) -> None:
    """Its socket takes connections and nothing comes back, as when its disk hangs."""
    (tmp_path / "redis").mkdir()
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(EmbeddedRedis(tmp_path / "redis").url.removeprefix("unix://"))
        hanging.listen()
        settings = Settings(data_dir=tmp_path)
        server, worker = await asyncio.gather(look_at_redis(settings), look_at_worker(settings))
    said(server, Status.FAIL, "is there, but does not answer")
    said(worker, Status.SKIPPED, "does not answer")


@pytest.mark.anyio
async def test_our_own_redis_is_shared_or_started_for_a_moment(tmp_path: Path) -> None:
    """It never takes the server away from those who use it, and none is left that was not there."""
    settings = Settings(data_dir=tmp_path)
    async with EmbeddedRedis(tmp_path / "redis") as server:
        said(await look_at_redis(settings), Status.OK, "which is running")
        assert await is_answering(Path(server.url.removeprefix("unix://")))
    said(await look_at_redis(settings), Status.OK, "started for this look and ended again")
    with pytest.raises((FileNotFoundError, ConnectionRefusedError)):
        await is_answering(Path(server.url.removeprefix("unix://")))


@pytest.mark.anyio
async def test_a_worker_that_is_missing_is_missed(start_relay: Any, redis: Any, redis_url: str) -> None:
    """A receiver alone takes callbacks, and nothing follows from them."""
    async with start_relay(NOWHERE, worker=False) as relay:
        settings = of(relay, redis_url=redis_url)
        said(await look_at_receiver(settings), Status.OK, "the API key fits")
        said(await look_at_worker(settings), Status.FAIL, "no worker listens")
        await redis.set(WORKER, "w", px=10_000)
        said(await look_at_worker(settings), Status.OK, "a worker listens")


@pytest.mark.anyio
async def test_another_program_on_the_port_is_no_receiver() -> None:
    """Whatever it answers; and a port where nobody listens has a sentence of its own."""
    async with impostor("200 OK\n\n<html>hello") as place:
        said(await look_at_receiver(Settings(url=f"http://{place}")), Status.FAIL, "not as a FrameRelay receiver")
    said(await look_at_receiver(Settings(url=NOWHERE)), Status.FAIL, "refuses connections", "framerelay up")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (
            '404 Not Found\n\n{"error": {"code": "not_found", "message": "no such job"}}',
            Status.WARN,
            "the same to a wrong key",
        ),
        ('401 Unauthorized\n\n{"error": {"message": "bad key"}}', Status.FAIL, "FRAMERELAY_UPSTREAM_KEY"),
        ('403 Forbidden\n\n{"error": {"message": "bad key"}}', Status.FAIL, "refuses the key"),
        ("404 Not Found\n\n<html>nginx", Status.WARN, "does not answer as the jobs API"),
        ("200 OK\n\n<html>welcome", Status.FAIL, "not as the jobs API"),
        ('200 OK\n\n{"id": "j", "status": "succeeded"}', Status.WARN, "a job that cannot exist"),
        ("302 Found\nLocation: https://elsewhere.test/\n\n", Status.FAIL, "leads elsewhere"),
        ("503 Service Unavailable\n\n", Status.FAIL, "out of order"),
        ("429 Too Many Requests\n\n{}", Status.WARN, "asks us to wait"),
    ],
)
async def test_what_the_provider_answers_is_read(answer: str, status: Status, words: str) -> None:
    """To a look-up that costs nothing: a job that cannot exist. A 404 alone proves no key: any path may get one."""
    async with impostor(answer) as place:
        said(await look_at_upstream(Settings(upstream_url=f"http://{place}", upstream_key=SECRET_KEY)), status, words)


@pytest.mark.anyio
async def test_a_key_is_right_if_a_wrong_one_is_refused(start_provider: Any) -> None:
    """Asked for a job that cannot exist, with each; nothing is submitted."""
    async with start_provider() as provider:
        settings = Settings(upstream_url=provider.url, upstream_key=SECRET_KEY)
        said(await look_at_upstream(settings), Status.OK, "takes the key")
        said(await look_at_upstream(replace(settings, upstream_url=f"{provider.url}/v1")), Status.OK, "takes the key")
        said(await look_at_upstream(replace(settings, upstream_url=f"{provider.url}/api")), Status.WARN, "path /api")
        assert (await provider.journal())["submits"] == []
    unknown = '404 Not Found\n\n{"error": {"code": "not_found", "message": "no such job"}}'
    async with impostor(unknown, "503 Service Unavailable\n\n") as place:
        unsure = await look_at_upstream(replace(settings, upstream_url=f"http://{place}"))
    said(unsure, Status.WARN, "did not answer a second time")


@pytest.mark.anyio
async def test_a_provider_that_cannot_be_reached_says_why(tls: ssl.SSLContext) -> None:
    """A dead port, a certificate that nobody vouches for, and no address at all."""
    said(await look_at_upstream(Settings(upstream_url=NOWHERE, upstream_key=SECRET_KEY)), Status.FAIL, "refuses connec")
    async with impostor("200 OK\n\n", tls=tls) as place:
        strange = await look_at_upstream(Settings(upstream_url=f"https://{place}", upstream_key=SECRET_KEY))
        said(strange, Status.FAIL, "certificate", "FRAMERELAY_CA_FILE")
    said(await look_at_upstream(Settings(upstream_url=NOWHERE)), Status.FAIL, "FRAMERELAY_UPSTREAM_KEY is not set")


@pytest.mark.anyio
async def test_a_callback_through_the_public_address_is_found_again(start_relay: Any) -> None:
    """At the receiver, kept, under the id of this very probe."""
    async with start_relay(NOWHERE, worker=False) as relay:
        finding = await look_at_callback(of(relay, public_url=relay.settings.listen_url))
        said(finding, Status.OK, f"a callback to {relay.settings.listen_url} came back")
        assert [each["outcome"] for each in (await relay.api.get("/v1/callbacks")).json()["data"]] == ["probe"]


@pytest.mark.anyio
async def test_long_callbacks_of_others_do_not_hide_it(start_relay: Any) -> None:
    """A page of fifty at their longest is read whole."""
    async with start_relay(NOWHERE, worker=False) as relay:
        address = "/webhook/" + relay.tokens.mint(HookAddress(hook="mine"))
        for number in range(50):
            await relay.api.post(address, json={"number": number, "text": "雨" * 16_000})
        said(await look_at_callback(of(relay, public_url=relay.settings.listen_url)), Status.OK, "came back")


@pytest.mark.anyio
async def test_without_a_public_address_a_provider_elsewhere_cannot_call(start_relay: Any) -> None:
    """Said with what it costs; on one machine it is no fault."""
    async with start_relay("http://127.0.0.1:8090", worker=False) as relay:
        said(await look_at_callback(of(relay)), Status.OK, "the provider is on this machine")
        elsewhere = of(relay, upstream_url="https://api.example.com")
        said(await look_at_callback(elsewhere), Status.WARN, "FRAMERELAY_PUBLIC_URL is not set", "looked up after 20 s")


@pytest.mark.anyio
async def test_another_receiver_behind_the_address_is_told_apart(
    start_relay: Any, start_redis: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One with another secret refuses; one with the same secret and another Redis acknowledges, and nothing comes."""
    async with start_relay(NOWHERE, worker=False) as relay:
        other_secret = of(relay, secret=Secret("another one"))
        said(await look_at_callback(other_secret), Status.FAIL, "another FRAMERELAY_SECRET")
        under_a_path = of(relay, public_url=f"{relay.settings.listen_url}/relay")
        said(await look_at_callback(under_a_path), Status.FAIL, "let it take /relay off the path")
        other_key = of(relay, api_key=(Secret("another one"),), public_url=relay.settings.listen_url)
        said(await look_at_callback(other_key), Status.WARN, "could not be looked for")
        monkeypatch.setattr(callback, "LISTED_WITHIN_S", 0.3)
        with listening_on("127.0.0.1", 0) as listener:
            port = listener.getsockname()[1]
            twin = replace(relay.settings, port=port, data_dir=tmp_path / "twin")
            keys = Keys(api_key=API_KEY, secret=SECRET, new_api_key=False)
            async with running_receiver(twin, keys, start_redis("--appendonly", "yes"), listener):
                finding = await look_at_callback(of(relay, public_url=twin.listen_url))
    said(finding, Status.FAIL, "acknowledged, but did not come", "the same secret")


@pytest.mark.anyio
async def test_a_receiver_that_cannot_keep_callbacks_is_told_apart(
    start_redis: Callable[..., str], tmp_path: Path, gives_redis_up_soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis gone and the disk refusing: 503; with the disk alone it is acknowledged, and cannot be shown."""
    monkeypatch.setattr(inbox, "KEEP_WITHIN_S", 0.3)
    with listening_on("127.0.0.1", 0) as listener:
        settings = Settings(
            port=listener.getsockname()[1], data_dir=tmp_path / "data", api_key=(API_KEY,), secret=SECRET
        )
        keys = Keys(api_key=API_KEY, secret=SECRET, new_api_key=False)
        url = start_redis("--appendonly", "no")
        async with running_receiver(settings, keys, url, listener):
            with redis_sync.Redis.from_url(url) as client:
                client.shutdown(nosave=True)
            said(await look_at_receiver(settings), Status.FAIL, "cannot keep callbacks in Redis")
            said(await look_at_callback(settings), Status.FAIL, "acknowledged, but the receiver cannot show it")
            shutil.rmtree(tmp_path / "data")
            (tmp_path / "data").write_text("no folder")
            said(await look_at_callback(settings), Status.FAIL, "cannot keep callbacks")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("200 OK\n\n<html><title>You are about to visit</title>", 'a page named "You are about to visit"'),
        ('200 OK\n\n{"ok": true}', "another server answers"),
        ("404 Not Found\n\n<html>", "another server answers"),
        ("301 Moved\nLocation: https://www.relay.test/webhook/x\n\n", "leads on to https://www.relay.test"),
        ("403 Forbidden\n\n", "wants a log-in"),
        ("502 Bad Gateway\n\n<title>502</title>", "nothing behind it"),
    ],
)
async def test_who_else_answers_at_the_public_address_is_said(answer: str, words: str) -> None:
    """A parked domain, a tunnel's warning, a redirect, a log-in, a proxy with nothing behind it."""
    async with impostor(answer) as place:
        finding = await look_at_callback(Settings(public_url=f"http://{place}", secret=SECRET))
    said(finding, Status.FAIL, words)


@pytest.mark.anyio
async def test_a_way_that_ends_early_says_where(tls: ssl.SSLContext, tmp_path: Path, impatient: None) -> None:
    """A dead port, silence, a certificate of nobody's or for another name, plain HTTP where TLS should be."""

    async def found(url: str, **chosen: Any) -> Finding:
        return await look_at_callback(Settings(public_url=url, secret=SECRET, **chosen))

    said(await found(NOWHERE), Status.FAIL, "127.0.0.1:9 refuses connections")
    async with impostor("") as place:
        said(await found(f"http://{place}"), Status.FAIL, "did not answer in time")
    async with impostor("200 OK\n\n", tls=tls) as place:
        said(await found(f"https://{place}"), Status.FAIL, "is not accepted", "self-signed")
        said(await found(f"https://{place}", ca_file=tmp_path / "pem"), Status.FAIL, "is not accepted", "127.0.0.1")
        said(await found(f"http://{place}"), Status.FAIL, "ended the connection")
    async with impostor("200 OK\n\n") as place:
        said(await found(f"https://{place}"), Status.FAIL, "does not speak TLS")


@pytest.mark.anyio
async def test_a_name_that_does_not_resolve_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server is played: the one of this machine is not ours."""

    def unknown(*_: object, **__: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    finding = await look_at_callback(Settings(public_url="https://relay.test", secret=SECRET))
    said(finding, Status.FAIL, "the name relay.test does not resolve", "spelling")


def test_a_name_server_that_hangs_does_not_hold_the_program(monkeypatch: pytest.MonkeyPatch, impatient: None) -> None:
    """The thread that asks is left behind: neither the look nor the end of the program waits for it."""
    asked, let_go, over = list[bool](), list[bool](), threading.Event()

    def hang(*_: object, **__: object) -> Any:
        asked.append(True)
        let_go.append(over.wait(90))

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    finding = asyncio.run(look_at_callback(Settings(public_url="https://relay.test", secret=SECRET)))
    said(finding, Status.FAIL, "did not answer in time")
    assert (asked, let_go) == ([True], [])
    over.set()


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
