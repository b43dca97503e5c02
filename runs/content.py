"""What a shot asks for, as a key: two takes with the same key differ only by chance and by their first frame."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from framerelay.runs.changes import input_of
from framerelay.runs.model import Run, Shot

DIGITS: Final = 24


def content_key(run: Run, shot: Shot) -> str:
    """
    A key of everything that *shot* sends to its provider, except the frame that another shot hands to it.

    It covers the prompt with style, the input, model, provider and raw fields, and the pictures that were given: our
    files by their bytes, from which their names are made, and addresses as they are written. Blanks around the prompt,
    which a storyboard cannot express, are ignored.
    """
    request = {**shot.input, "prompt": str(shot.input.get("prompt") or "").strip()}
    return _digest([request, run.provider_of(shot), run.model_of(shot), shot.extra, shot.first_frame, shot.last_frame])


def as_written(shot: Shot) -> Shot:
    """*shot* with the input from its storyboard, if it only has a different one because a take was refused."""
    reaction = shot.reaction
    if reaction is None or reaction.since is None:
        return shot
    before = dict(input_of(shot, reaction.since - 1))
    is_own = {**before, **reaction.moderated} == shot.input  # Otherwise a person has changed it since.
    return replace(shot, input=before, reaction=replace(reaction, since=None)) if is_own else shot


def content_keys(run: Run, shot: Shot) -> set[str]:
    """The keys takes of *shot* may have: with its input, and with the storyboard's alternative to a refused one."""
    substitute = shot.reaction.moderated if shot.reaction else {}
    other = replace(shot, input={**shot.input, **substitute})
    return {content_key(run, shot), content_key(run, other)}


def chain_keys(contents: Mapping[str, str], sources: Mapping[str, str | None]) -> dict[str, str]:
    """
    For each shot, by id, the key of its content and of everything it is made from; the cost is linear.

    *sources*: the shot that each begins with. If they form a circle, as those of archived takes may, it is cut.
    """
    keys: dict[str, str] = {}
    for shot_id in contents:
        path: dict[str, None] = {}
        each: str | None = shot_id
        while each is not None and each not in keys and each not in path:
            path[each] = None
            each = sources[each]
        above = keys.get(each) if each is not None else None
        for each in reversed(path):
            keys[each] = above = _digest([contents[each], above])
    return keys


def _digest(whole: list[object]) -> str:
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:DIGITS]
