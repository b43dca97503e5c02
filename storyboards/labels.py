"""The labels of a run, as a storyboard gives them and as a query asks for them."""

import re
from typing import Final

from framerelay.storyboards.notation import excerpt
from framerelay.storyboards.parts import NAME, Part

LABELS_MAX: Final = 16
VALUE_MAX: Final = 80
_VALUE: Final = re.compile(rf"[^\x00-\x1f\x7f\u2028\u2029]{{1,{VALUE_MAX}}}")


def read_labels(part: Part) -> dict[str, str]:
    """Names with a short text each; mistakes are reported."""
    entries = part.named_parts() or {}
    if len(entries) > LABELS_MAX:
        part.complain(f"these are {len(entries)} labels; a run can have {LABELS_MAX}")
    values = {name: _read_value(entry) for name, entry in entries.items()}
    return {name: value for name, value in values.items() if value is not None}


def label_of(text: str) -> tuple[str, str] | None:
    """The label in ``NAME:VALUE``; None if no run can have that label."""
    name, colon, value = text.partition(":")
    value = value.strip()
    return (name.strip(), value) if colon and NAME.fullmatch(name.strip()) and _VALUE.fullmatch(value) else None


def _read_value(part: Part) -> str | None:
    text = part.text()
    if text is None or _VALUE.fullmatch(text):
        return text
    part.complain(f'"{excerpt(text)}" cannot be a label: write 1 to {VALUE_MAX} characters in one line')
    return None
