"""There is one way out for addresses that strangers name: no package opens connections past the guard."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "config", "media", "network", "processors", "receiver", "runs", "store", "storyboards", "upstream")
ALLOWED = {
    ("network/client.py", "httpx.AsyncClient"),  # The guard itself.
    ("network/client.py", "httpcore.AsyncConnectionPool"),
    ("upstream/transport.py", "httpx.AsyncClient"),  # The providers of the settings, with their keys.
    ("store/bucket.py", "obstore.store"),  # The object storage of the settings, with the cloud's own credentials.
    ("store/bucket_store.py", "obstore.store"),
    ("store/bucket_store.py", "obstore"),
    ("store/bucket_probe.py", "obstore"),
    ("store/embedded.py", "asyncio.open_unix_connection"),  # To the keeper of our own Redis.
}
OPENERS = {
    "httpx": {"AsyncClient", "Client", "get", "post", "put", "patch", "delete", "head", "options", "request", "stream"},
    "asyncio": {"open_connection", "open_unix_connection"},
    "anyio": {"connect_tcp"},
    "socket": {"create_connection"},
    "request": {"urlopen", "urlretrieve"},
    "httpcore": {"AsyncConnectionPool", "ConnectionPool", "AsyncHTTPProxy"},
}
LIBRARIES = {
    "requests",
    "aiohttp",
    "urllib3",
    "http.client",
    "urllib.request",
    "ftplib",
    "smtplib",
    "telnetlib",
    "obstore",
    "obstore.store",
}


def openers_in(path: Path) -> Iterator[str]:
    """What the file at *path* calls or imports that could open a connection of its own."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
        ):
            module, name = node.func.value.id, node.func.attr
            if name in OPENERS.get(module, ()):
                yield f"{module}.{name}"
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name in LIBRARIES)
        if isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{each.name}" for each in node.names}
            yield from ({node.module} & LIBRARIES) | (names & LIBRARIES)
            yield from (
                f"{node.module}.{each.name}" for each in node.names if each.name in OPENERS.get(node.module or "", ())
            )


@pytest.mark.parametrize("package", PACKAGES)
def test_only_the_guard_and_the_upstream_open_connections(package: str) -> None:
    """New code that fetches something is given the guarded client, or a line in this list with a reason."""
    modules = {
        (path.relative_to(ROOT).as_posix(), opener)
        for path in (ROOT / package).rglob("*.py")
        for opener in openers_in(path)
    }
    assert modules - ALLOWED == set()


def test_each_client_of_httpx_says_no_to_redirects_and_to_the_environment() -> None:
    """Both follow nothing by themselves and read neither proxies nor netrc; this is set where they are made."""
    for path in {path for path, opener in ALLOWED if opener == "httpx.AsyncClient"}:
        calls = [
            {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "httpx.AsyncClient"
        ]
        assert [(call["follow_redirects"], call["trust_env"]) for call in calls] == [("False", "False")], path
