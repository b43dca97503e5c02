"""Scenes and shots: how those of a document become the shots of a run, and what can be wrong with them."""

from collections.abc import Mapping
from typing import Final

from framerelay.runs.model import From, Shot
from framerelay.storyboards.boundaries import Boundary, Defaults, Draft, one_frame, read_boundary, read_frame
from framerelay.storyboards.choices import CHOICE_KEYS, read_choice
from framerelay.storyboards.inputs import CALLBACK_IS_OURS, PLAIN_FIELDS, REFERENCE_FILES, read_inputs
from framerelay.storyboards.parts import Part
from framerelay.storyboards.reactions import read_reaction
from framerelay.storyboards.style import with_style

SHOTS_MAX: Final = 500
TAKES_MAX: Final = 8

_FRAMES: Final = ("first_frame", "first_frame_url", "last_frame", "last_frame_url")
_SCENE_KEYS: Final = ("id", *CHOICE_KEYS, "first_frame", "first_frame_url", "shots")
_SHOT_KEYS: Final = (
    "id",
    "prompt",
    *CHOICE_KEYS,
    "from",
    *_FRAMES,
    "takes",
    "pick",
    "gate",
    "on_moderated",
    "on_failed",
    *PLAIN_FIELDS,
    *REFERENCE_FILES,
)
_NOT_IN_A_SCENE: Final = {
    **dict.fromkeys(("last_frame", "last_frame_url"), "a last frame belongs to a shot: put it there"),
    **dict.fromkeys(
        (*PLAIN_FIELDS, *REFERENCE_FILES), "input fields belong in a shot, or for all shots under defaults"
    ),
    "callback_url": CALLBACK_IS_OURS,
    **dict.fromkeys(("prompt", "on_moderated"), "a prompt belongs to a shot: put it there"),
    "on_failed": "this belongs in a shot, or for all shots at the top",
}
_NOT_IN_A_SHOT: Final = {
    "callback_url": CALLBACK_IS_OURS,
    "input": "input fields belong in the shot itself: write them without input",
    "style": "style belongs at the top and is added to every prompt; put this into the prompt",
}


_NO_MODEL: Final = "name the model that makes this clip: model here, in the scene, or at the top for all"


def read_shots(top: Mapping[str, Part], defaults: Defaults) -> tuple[Shot, ...]:
    """The shots of all scenes in the order of the film; shots with a mistake are reported and left out."""
    drafts = _drafts(_scenes(top), defaults)
    places = {draft.id: place for place, draft in enumerate(drafts)}
    boundaries = [read_boundary(draft, places, defaults) for draft in drafts]
    shots = [_read_shot(draft, boundary, defaults) for draft, boundary in zip(drafts, boundaries, strict=True)]
    return tuple(shot for shot in shots if shot is not None)


# --- who is where --------------------------------------------------------------------------------------------


def _scenes(top: Mapping[str, Part]) -> list[tuple[str, dict[str, Part]]]:
    """Every scene's id and keys; top-level shots are one scene named ``main``."""
    if "scenes" not in top:
        return [("main", {"shots": top["shots"]})] if "shots" in top else []
    parts = top["scenes"].items() or []
    groups = [(part, part.group(_SCENE_KEYS, elsewhere=_NOT_IN_A_SCENE) or {}) for part in parts]
    for part, keys in groups:
        if isinstance(part.value, dict) and "shots" not in keys:
            part.miss("shots", message="a scene needs shots: write shots: and a list below it")
    names = _names([keys.get("id") for _, keys in groups], prefix="scene")
    return list(zip(names, (keys for _, keys in groups), strict=True))


def _drafts(scenes: list[tuple[str, dict[str, Part]]], defaults: Defaults) -> list[Draft]:
    places = [(scene, keys, parts) for scene, keys in scenes if (parts := _shot_parts(keys))]
    total = sum(len(parts) for _, _, parts in places)
    if total > SHOTS_MAX:
        places[-1][2][-1].complain(f"this is shot number {total}; a storyboard can have {SHOTS_MAX}")
        return []
    groups = [part.group(_SHOT_KEYS, elsewhere=_NOT_IN_A_SHOT) or {} for _, _, parts in places for part in parts]
    names = iter(_names([keys.get("id") for keys in groups], prefix="s", reserved_id=defaults.before))
    drafts: list[Draft] = []
    for scene, scene_keys, parts in places:
        choice = read_choice(scene_keys, defaults.choice)
        previous = None if drafts else defaults.before
        for position, part in enumerate(parts):
            draft = Draft(
                id=next(names),
                scene=scene,
                part=part,
                keys=groups[len(drafts)],
                choice=read_choice(groups[len(drafts)], choice),
                opens=position == 0,
                previous=previous,
                scene_frame=one_frame(scene_keys, "first_frame") if position == 0 else None,
            )
            drafts.append(draft)
            previous = draft.id
    return drafts


def _shot_parts(scene_keys: Mapping[str, Part]) -> list[Part]:
    part = scene_keys.get("shots")
    parts = part.items() if part else None
    if part and parts == []:
        part.complain("there are no shots here: write at least one, for example - {prompt: rain on neon}")
    return parts or []


def _names(ids: list[Part | None], *, prefix: str, reserved_id: str | None = None) -> list[str]:
    """The ids as written, checked; missing ones become their number, or the next free number."""
    ids_so_far = {reserved_id} if reserved_id else set()
    own = [_own_name(part, ids_so_far) if part else None for part in ids]
    names: list[str] = []
    number = 0
    for position, name in enumerate(own, start=1):
        if name is None:
            number = max(number + 1, position)
            while f"{prefix}{number}" in ids_so_far:
                number += 1
        names.append(name or f"{prefix}{number}")
    return names


def _own_name(part: Part, ids_so_far: set[str]) -> str | None:
    """Ids name files, and some disks do not distinguish A from a: two that differ only in case are the same."""
    name = part.name()
    if name is None:
        return None
    if name in list(From):
        part.complain(f'"{name}" has a meaning of its own in from: choose another id')
        return None
    if name.lower() in ids_so_far:
        part.complain(f'the id "{name}" is taken already (capitals make no difference): choose another')
        return None
    ids_so_far.add(name.lower())
    return name


# --- one shot ----------------------------------------------------------------------------------------------------


def _read_shot(draft: Draft, boundary: Boundary, defaults: Defaults) -> Shot | None:
    if not isinstance(draft.part.value, dict):
        return None
    if draft.choice.model is None and defaults.needs_models:
        draft.part.miss("model", message=_NO_MODEL)
    keys = draft.keys
    prompt = _read_prompt(draft, defaults.style)
    takes = keys["takes"].whole_number(1, TAKES_MAX) if "takes" in keys else 1
    pick = "pick" in keys and keys["pick"].word("first")
    gate = "gate" in keys and keys["gate"].word("approve")
    return Shot(
        id=draft.id,
        scene=draft.scene,
        origin=boundary.origin,
        source=boundary.source,
        provider=draft.choice.provider if draft.choice.provider != defaults.choice.provider else None,
        model=draft.choice.model if draft.choice.model != defaults.choice.model else None,
        extra=dict(draft.choice.extra),
        input={"prompt": prompt, **defaults.defaults, **read_inputs(keys, allow_paths=defaults.allow_paths)},
        first_frame=read_frame(boundary.first, defaults) if boundary.first else None,
        last_frame=read_frame(boundary.last, defaults) if boundary.last else None,
        takes_wanted=takes or 1,
        pick_first=pick,
        gated=gate,
        reaction=read_reaction(keys, defaults.reaction, defaults.style),
    )


def _read_prompt(draft: Draft, style: str | None) -> str | None:
    if "prompt" not in draft.keys:
        draft.part.miss("prompt", message="a shot needs a prompt: say what is to be seen")
        return None
    prompt = draft.keys["prompt"].text()
    return None if prompt is None else with_style(prompt, style)
