"""``pass``: whether a storyboard is made cheaply, for viewing, or as it says."""

from typing import Any

from framerelay.storyboards.inputs import PLAIN_FIELDS, read_inputs
from framerelay.storyboards.parts import Part, describe_value


def read_pass(part: Part, *, before: str | None) -> dict[str, Any] | None:
    """
    The input fields for a draft, in addition to its provider's own definition of one; None for no draft.

    *before*: as in `read_storyboard`.
    """
    if part.value == "final":
        return None
    if before is not None:
        part.complain("what goes on from a clip that is there has no draft: leave this out")
        return None
    if part.value == "draft":
        return {}
    if not isinstance(part.value, dict):
        part.complain(f"expected draft, final, or {{draft: {{duration: 4}}}}, found {describe_value(part.value)}")
        return None
    keys = part.group(("draft",)) or {}
    if "draft" not in keys:
        part.miss("draft", message="write pass: draft, or pass: {draft: {duration: 4}}")
        return None
    return read_inputs(keys["draft"].group(PLAIN_FIELDS) or {})
