"""How a handler runs as a task: what its figures are called."""

from typing import Any

import pytest

from framerelay.config.metrics import TASK
from framerelay.processors.handlers import as_task

pytestmark = pytest.mark.anyio


class Parts:
    """A stand-in for the parts that a handler is given; this one asks for none."""

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...


class InUse:
    def lend(self) -> Parts:
        return Parts()


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("collected", "collected"),
        ("Complete!", "done"),
        ("12 runs", "done"),
        ("collected, kept", "collected"),
        ("running", "running"),
    ],
)
async def test_what_a_provider_says_is_no_label(text: str, label: str) -> None:
    """A word that comes from outside, or a number, would make a new series each time; ours are shown as they are."""
    in_use: Any = InUse()

    async def handler(_: Any) -> str:
        return text

    name = f"try_{text.encode().hex()}"
    await as_task(name, handler, in_use)({"job_try": 1, "score": 0})

    labels = [sample for suffix, sample, _ in TASK.samples() if suffix == "_count" and f'task="{name}"' in sample]
    assert labels == [f'{{task="{name}",outcome="{label}"}}']
