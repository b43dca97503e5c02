"""The samples for nginx and Caddy, each run for real in front of a receiver."""

import io
import os
import re
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio.to_thread
import httpx
import numpy as np
import pytest
from PIL import Image

from tests.deploy.tools import tool
from tests.deploy.waiting import free_port, is_answered, started

pytestmark = pytest.mark.anyio

PLACE = Path(__file__).parent.parent.parent / "deploy" / "proxy"
RUN_ID = "run_" + "a" * 24
RUN = {"model": "seedance-1.5-pro-1080p", "shots": [{"id": "s1", "prompt": "a car"}]}


def certificate(folder: Path) -> tuple[Path, Path]:
    """One for localhost, and its key."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(key), "-out", str(cert)]
    subprocess.run([tool("openssl"), *request, *names, *files], check=True, capture_output=True)
    return cert, key


def nginx(folder: Path, port: int, upstream: int) -> list[str]:
    """The sample within the least that nginx needs; its command."""
    cert, key = certificate(folder)
    text = (PLACE / "nginx.conf").read_text(encoding="utf-8")
    text = re.sub(r"^.*listen \[::\].*\n", "", text, flags=re.M)
    text = text.replace("listen 443", f"listen 127.0.0.1:{port}").replace(
        "listen 80", f"listen 127.0.0.1:{free_port()}"
    )
    text = text.replace("/etc/ssl/framerelay/fullchain.pem", str(cert))
    text = text.replace("/etc/ssl/framerelay/privkey.pem", str(key))
    (folder / "site.conf").write_text(text.replace("127.0.0.1:8080", f"127.0.0.1:{upstream}"))
    temporary = [f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")]
    user = "user root;" if os.geteuid() == 0 else ""
    http = f"access_log {folder}/access.log; {' '.join(temporary)} include {folder}/site.conf;"
    main = f"{user} daemon off; pid {folder}/nginx.pid; error_log stderr; events {{}} http {{ {http} }}"
    (folder / "nginx.conf").write_text(main)
    command = [tool("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    test = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert test.returncode == 0, test.stderr
    assert "warn" not in test.stderr
    return command


def caddy(folder: Path, port: int, upstream: int) -> list[str]:
    """The sample, with a certificate that need not be fetched; its command."""
    cert, key = certificate(folder)
    text = (PLACE / "Caddyfile").read_text(encoding="utf-8").replace("127.0.0.1:8080", f"127.0.0.1:{upstream}")
    text = text.replace("relay.example.com {", f"https://localhost:{port} {{\n\ttls {cert} {key}\n\tbind 127.0.0.1", 1)
    text = text.replace("{\n", "{\n\tadmin off\n\tauto_https disable_redirects\n", 1)
    (folder / "Caddyfile").write_text(text)
    binary = tool("caddy")
    check = [binary, "validate", "--adapter", "caddyfile", "--config", str(PLACE / "Caddyfile")]
    whole = subprocess.run(check, capture_output=True, text=True)
    assert whole.returncode == 0, whole.stderr
    return [binary, "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


@contextmanager
def proxied(proxy: Callable[[Path, int, int], list[str]], folder: Path, upstream: int) -> Iterator[str]:
    """The address of a proxy before that port."""
    folder.mkdir()
    port = free_port()
    command = proxy(folder, port, upstream)
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    with started(command, environ, folder):
        yield f"https://localhost:{port}"


@pytest.fixture(params=[nginx, caddy], ids=lambda each: each.__name__)
async def site(request: Any, tmp_path: Path, start_relay: Any) -> AsyncIterator[tuple[Any, httpx.AsyncClient]]:
    """A receiver, and a client that reaches it through the proxy alone."""
    async with start_relay("http://127.0.0.1:9", worker=False) as relay:
        with proxied(
            request.param, tmp_path / "proxy", int(str(relay.api.base_url).rpartition(":")[2].strip("/"))
        ) as url:
            context = ssl.create_default_context(cafile=tmp_path / "proxy" / "cert.pem")
            headers = {"Authorization": relay.api.headers["Authorization"]}
            async with httpx.AsyncClient(base_url=url, headers=headers, verify=context, trust_env=False) as http:
                await answers(http, tmp_path / "proxy" / "service.log")
                yield relay, http


async def answers(http: httpx.AsyncClient, log: Path) -> None:
    await anyio.to_thread.run_sync(is_answered, f"{http.base_url}/livez", log)


async def test_a_large_picture_gets_through(site: tuple[Any, httpx.AsyncClient]) -> None:
    """nginx's own limit of 1 MB would refuse it with a page that no program reads."""
    _, http = site
    noise = np.random.default_rng(1).integers(0, 255, (1100, 1600, 3), dtype=np.uint8)
    picture = io.BytesIO()
    Image.fromarray(noise).save(picture, "png")
    assert picture.tell() > 5_000_000

    answer = await http.post("/v1/files", content=picture.getvalue(), timeout=60)

    assert answer.status_code == 201, answer.text


async def test_events_come_as_they_happen(site: tuple[Any, httpx.AsyncClient]) -> None:
    """A proxy that gathers what it passes on would show an open page nothing, for minutes."""
    relay, http = site
    run_id = await relay.run(RUN)
    async with http.stream("GET", f"/v1/runs/{run_id}/events", timeout=60) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.aiter_lines()
        first = await anext(line async for line in lines if line.startswith("data:"))
        await relay.api.post(f"/v1/runs/{run_id}/cancel")
        second = await anext(line async for line in lines if line.startswith("data:"))
    assert "started" in first
    assert "run_cancelled" in second


async def test_a_callback_is_passed_on_and_its_address_is_no_logs(
    site: tuple[Any, httpx.AsyncClient], tmp_path: Path
) -> None:
    """The receiver answers, not the proxy; the proxy's log has no token."""
    _, http = site
    answer = await http.post("/webhook/dDpzZWNyZXQ.token-that-nobody-gave", json={"id": "j"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    logs = [path.read_text(encoding="utf-8") for path in (tmp_path / "proxy").glob("*.log")]
    assert not any("token-that-nobody-gave" in text for text in logs)


async def test_a_range_of_a_file_is_passed_on(site: tuple[Any, httpx.AsyncClient]) -> None:
    """Players seek in films."""
    relay, http = site
    folder = relay.settings.data_dir / "media" / RUN_ID
    folder.mkdir(parents=True)
    (folder / "s1.1.mp4").write_bytes(bytes(range(256)) * 40)
    whole = await http.get(f"/media/{RUN_ID}/s1.1.mp4")
    part = await http.get(f"/media/{RUN_ID}/s1.1.mp4", headers={"Range": "bytes=256-511"})

    assert (whole.status_code, len(whole.content)) == (200, 10240), whole.text
    assert (part.status_code, part.content) == (206, bytes(range(256)))
