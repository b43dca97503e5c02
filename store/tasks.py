"""
The tasks that a state asks for, in arq's own layout under our prefix (`store.keys`).

We do not use arq's ``enqueue_job``: it loses a task silently when the connection breaks at the wrong moment, and needs
three round trips. Our scripts write a task together with the state or the callback that asks for it.
"""

from typing import Any, Final

import msgspec

from framerelay.runs.steps import Step
from framerelay.runs.wire_names import WIRE_NAMES
from framerelay.store.keys import PREFIX

QUEUE: Final = "{framerelay}:queue"
WAKE: Final = "{framerelay}:wake"
DUE: Final = "{framerelay}:due"
TASK_LIFE_MS: Final = 30 * 86_400_000  # arq's own day is too short for a queue that was stopped over a long weekend.

HEAVY: Final = (
    "join",
    "opening",
    "again",
)  # First words of ids: they use cores for a long time, and no shot waits for them.

pack: Final = msgspec.msgpack.Encoder(enc_hook=repr).encode
unpack: Final = msgspec.msgpack.Decoder().decode
IDS: Final = {wire_name: name for name, wire_name in WIRE_NAMES.items()}
"""Tasks are stored with the names of the API: what their arguments are called in code."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One arq job of ours: which function, with which arguments by name, under which id."""

    id: str
    function: str
    arguments: Any  # A mapping, or a struct of its own.

    def definition(self, now_ms: int) -> bytes:
        """What arq expects under ``{framerelay}:arq:job:ID``; MessagePack, never pickle."""
        return pack({"t": None, "f": self.function, "a": (), "k": self.arguments, "et": now_ms})


def task_keys(task_id: str) -> tuple[str, str]:
    """Where arq keeps what a task is, and how often it was tried."""
    return f"{PREFIX}arq:job:{task_id}", f"{PREFIX}arq:retry:{task_id}"


def task_of(step: Step) -> Task:
    """The task that does *step*."""
    arguments = {"run": step.run_id, "shot": step.shot_id, "take": step.take, "turn": step.turn}
    return Task(id=step.task_id, function=step.name.value, arguments=arguments)
