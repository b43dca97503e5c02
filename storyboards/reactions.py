"""What a storyboard says to do about failed takes: ``on_moderated`` and ``on_failed``."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from framerelay.runs.reaction import Reaction
from framerelay.storyboards.parts import Part, describe_value
from framerelay.storyboards.style import with_style

RETAKES_MAX: Final = 8
_NO_RETAKES: Final = "stop"


def read_on_failed(keys: Mapping[str, Part], default: Reaction | None = None) -> Reaction | None:
    """What ``on_failed`` says among *keys*, or *default*, from a level above."""
    part = keys.get("on_failed")
    if part is None:
        return default
    if part.value == "retake":
        return Reaction(any_failure=True)
    if part.value == _NO_RETAKES:
        return Reaction(retakes=0)
    if not isinstance(part.value, dict):
        part.complain(
            f"expected retake, stop, or {{retake: 2}} for at most two new takes, found {describe_value(part.value)}"
        )
        return default
    limits = part.group(("retake",)) or {}
    if "retake" not in limits:
        part.miss("retake", message="write on_failed: {retake: 2} for at most two new takes")
        return default
    return Reaction(retakes=limits["retake"].whole_number(0, RETAKES_MAX), any_failure=True)


def read_reaction(keys: Mapping[str, Part], default: Reaction | None, style: str | None) -> Reaction | None:
    """What a shot says, combined with what applies to all; None if neither says anything."""
    reaction = read_on_failed(keys, default)
    stand_in = _read_moderated(keys["on_moderated"], style) if "on_moderated" in keys else {}
    return replace(reaction or Reaction(), moderated=stand_in) if stand_in else reaction


def _read_moderated(part: Part, style: str | None) -> dict[str, Any]:
    fields = part.group(("prompt", "generate_audio"))
    if fields is None:
        return {}
    if not fields and part.value == {}:
        part.complain("write on_moderated: {prompt: …}, another prompt for when the first one is refused")
    prompt = fields["prompt"].text() if "prompt" in fields else None
    values: dict[str, Any] = {"prompt": with_style(prompt, style)} if prompt else {}
    if "generate_audio" in fields and fields["generate_audio"].boolean() is not None:
        if fields["generate_audio"].value:
            fields["generate_audio"].complain("sound that was refused can be left out: write false, or another prompt")
        values["generate_audio"] = False
    return values
