"""Clips for the tests of this folder."""

import hashlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import framerelay.media.download


@pytest.fixture(scope="session")
def clipmaker() -> ModuleType:
    """The module beside this file: Clip, write_clip, draw, read_number and the boxes."""
    return load("clipmaker")


@pytest.fixture(scope="session")
def oracle() -> ModuleType:
    """The module beside this file: what frames must look like, by FFmpeg's command and arithmetic."""
    return load("oracle")


def load(name: str) -> ModuleType:
    """A module of this folder, once."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    """
    The path of the system's own: a decoder of another make than ours, and a writer of what PyAV cannot write.

    Without it the tests are skipped, except where `make test` could have installed it: a judge that nobody notices
    missing would let everything pass for ever.
    """
    if program := shutil.which("ffmpeg"):
        return program
    if os.geteuid() == 0 and shutil.which("apt-get"):
        pytest.fail("no ffmpeg, though `make test` can install it here: apt-get install ffmpeg")
    pytest.skip("no ffmpeg on PATH; as root on Debian or Ubuntu `make test` installs it")


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for clips that several tests want, shared by all processes of this test run."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shelf"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def make_clip(clipmaker: ModuleType, shelf: Path, tmp_path: Path) -> Callable[..., Path]:
    """
    ``make_clip(name="clip.mp4", **fields of clipmaker.Clip)`` writes a Seedance twin, or what the fields say.

    Each is encoded once in a test run; a test gets a copy of its own.
    """

    def make(name: str = "clip.mp4", **options: Any) -> Path:
        path = tmp_path / name
        fields = hashlib.sha256(repr(sorted(options.items())).encode()).hexdigest()
        file = shelf / f"{fields}{path.suffix}"
        if not file.exists():
            draft = shelf / f"{os.getpid()}{path.suffix}"
            clipmaker.write_clip(draft, **options)
            draft.replace(file)
        shutil.copyfile(file, path)
        return path

    return make


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause between the tries of a download is not what is tested."""
    monkeypatch.setattr(framerelay.media.download, "PAUSE_S", 0.01)
