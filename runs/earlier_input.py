"""What takes were made of that have another input now than the coming ones of their shot."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierInput:
    """The ``input`` of takes up to number ``until``, behind which it was changed."""

    until: int
    input: dict[str, Any] = field(default_factory=dict)
