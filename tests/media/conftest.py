"""Clips for the tests of this folder."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as the program does."""
    return "asyncio"


@pytest.fixture(scope="session")
def clipmaker() -> ModuleType:
    """The module beside this file: Clip, write_clip, draw, read_number and the boxes."""
    spec = importlib.util.spec_from_file_location("clipmaker", Path(__file__).with_name("clipmaker.py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["clipmaker"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def make_clip(clipmaker: ModuleType, tmp_path: Path) -> Callable[..., Path]:
    """``make_clip(name="clip.mp4", **fields of clipmaker.Clip)`` writes a Seedance twin, or what the fields say."""

    def make(name: str = "clip.mp4", **options: Any) -> Path:
        path: Path = clipmaker.write_clip(tmp_path / name, **options)
        return path

    return make
