"""The input of takes that were made before the input of their shot was changed."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierInput:
    """The ``input`` of the takes up to number ``until``, after which it was changed."""

    until: int
    input: dict[str, Any] = field(default_factory=dict)
