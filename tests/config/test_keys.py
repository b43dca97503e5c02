"""The API key and the signing secret: given, or made once and kept so that only their owner can read them."""

import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from starlette.datastructures import Secret

from framerelay.config.env_file import SettingInvalid
from framerelay.config.keys import find_api_key, load_keys
from framerelay.config.settings import Settings

STARTED = """
import sys
from pathlib import Path
from framerelay.config.keys import load_keys
from framerelay.config.settings import Settings
sys.stdin.read()
keys = load_keys(Settings(data_dir=Path(sys.argv[1])))
print(keys.api_key, str(keys.secret), keys.new_api_key)
"""


def test_keys_are_made_on_the_first_start_and_found_on_the_next(tmp_path: Path) -> None:
    """Long, different, of a shape that the log knows; only the first start says that the key is new."""
    settings = Settings(data_dir=tmp_path / "new" / "data")
    first, second = load_keys(settings), load_keys(settings)

    assert (first.new_api_key, second.new_api_key) == (True, False)
    assert (str(first.api_key), str(first.secret)) == (str(second.api_key), str(second.secret))
    assert str(first.api_key) != str(first.secret)
    for key in (first.api_key, first.secret):
        assert str(key).startswith("fr_")
        assert len(str(key)) > 40
    assert str(find_api_key(settings)) == str(first.api_key)


def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    """0600 in a folder of 0700, whatever the umask; no draft is left."""
    load_keys(Settings(data_dir=tmp_path / "data"))

    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert sorted(file.name for file in (tmp_path / "data").iterdir()) == ["api_key", "secret"]
    for name in ("api_key", "secret"):
        assert stat.S_IMODE((tmp_path / "data" / name).stat().st_mode) == 0o600


def test_given_keys_are_used_and_nothing_is_written(tmp_path: Path) -> None:
    """Two containers with the same settings share them without sharing a folder."""
    settings = Settings(data_dir=tmp_path / "data", api_key=(Secret("mine"),), secret=Secret("ours"))
    keys = load_keys(settings)

    assert (str(keys.api_key), str(keys.secret), keys.new_api_key) == ("mine", "ours", False)
    assert str(find_api_key(settings)) == "mine"
    assert not (tmp_path / "data").exists()


def test_the_command_makes_no_key(tmp_path: Path) -> None:
    """It only looks: a receiver elsewhere has its own."""
    assert find_api_key(Settings(data_dir=tmp_path)) is None
    assert list(tmp_path.iterdir()) == []


def test_ten_threads_that_start_at_once_have_one_key(tmp_path: Path) -> None:
    """Exactly one of them made it."""
    barrier = Barrier(10)

    def start(_: int) -> tuple[str, str, bool]:
        barrier.wait(timeout=90)
        keys = load_keys(Settings(data_dir=tmp_path / "data"))
        return str(keys.api_key), str(keys.secret), keys.new_api_key

    with ThreadPoolExecutor(10) as pool:
        keys = list(pool.map(start, range(10)))

    assert len({(api_key, secret) for api_key, secret, _ in keys}) == 1
    assert sorted(new for _, _, new in keys) == [False] * 9 + [True]
    assert len(list((tmp_path / "data").iterdir())) == 2


def test_four_processes_that_start_at_once_have_one_key(tmp_path: Path) -> None:
    """`receiver` and `worker` are started together, often several of them."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", STARTED, str(tmp_path / "data")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    keys = []
    for process in processes:
        assert process.stdout is not None
        keys.append(process.stdout.read().split())
        process.stdout.close()
        assert process.wait(timeout=90) == 0

    assert len({(api_key, secret) for api_key, secret, _ in keys}) == 1
    assert sorted(new for _, _, new in keys) == ["False"] * 3 + ["True"]


def test_a_kept_file_without_a_key_stops_the_start(tmp_path: Path) -> None:
    """An empty key would open everything to everybody."""
    settings = Settings(data_dir=tmp_path)
    for content in (b"", b" \n", b"\xff\xfe"):
        for name in ("api_key", "secret"):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(SettingInvalid, match=name):
                load_keys(settings)
            if name == "api_key":
                with pytest.raises(SettingInvalid, match=name):
                    find_api_key(settings)
            (tmp_path / name).unlink()
