"""
The current storyboard of a run: the text that a person gave, with later decisions applied to it.

If the text is not known, or can no longer express the run, one is written from the shots: it then has no comments, no
style of its own, and no defaults.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from framerelay.runs.content import as_written
from framerelay.runs.errors import Conflict, StoryboardInvalid
from framerelay.runs.model import From, Run, Shot, Wording
from framerelay.runs.reaction import Reaction
from framerelay.storyboards.documents import Path
from framerelay.storyboards.edits import GONE, Edit, dump_yaml, edited_text, edited_value
from framerelay.storyboards.storyboard import VERSION, Storyboard, read_storyboard
from framerelay.storyboards.style import with_style

_HEAD: Final = "# Written from the run: the text that it was started with is not known, or no longer says what it is.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenStoryboard:
    """A storyboard: ``text`` is YAML, ``document`` the same as plain values."""

    text: str
    document: dict[str, Any]


def write_storyboard(run: Run, wording: Wording | None) -> WrittenStoryboard:
    """
    The storyboard of *run*; *wording*: the text that it was started with, or amended to.

    Started again, it gives the same shots, with the prompts, inputs and budget that the run has now. Added takes, picks
    and approvals belong only to the run. Raises: Conflict for a run that begins with a job of somebody else.
    """
    if any(not shot.takes_wanted for shot in run.story):
        raise Conflict("the run began with a job that somebody else submitted: no storyboard can say what that was")
    board = _amend(run, wording) if wording is not None else None
    if board is None:
        document = _document_of(run)
        return WrittenStoryboard(text=_HEAD + dump_yaml(document), document=document)
    is_yaml = board.wording is not None and board.wording.form == "yaml"
    return WrittenStoryboard(
        text=board.wording.text if board.wording and is_yaml else dump_yaml(board.document), document=board.document
    )


def _amend(run: Run, wording: Wording) -> Storyboard | None:
    """*wording*, changed as far as the run has changed; None if it cannot express the run."""
    board = _read(wording.text, wording.form)
    if board is None or _says(board, run):
        return board
    edits = list(_edits(board, run))
    if wording.form == "yaml":
        text = edited_text(wording.text, edits)
        again = None if text is None else _read(text, "yaml")
    else:
        again = _read(json.dumps(edited_value(board.document, edits)), "json")
    return again if again is not None and _says(again, run) else None


def _read(text: str, form: Any) -> Storyboard | None:
    try:
        return read_storyboard(text, form=form, allow_paths=False)
    except StoryboardInvalid:  # From a version that knew other keys.
        return None


def _says(board: Storyboard, run: Run) -> bool:
    """Whether *board* would give the shots of *run*, and its terms."""
    terms = (board.title, board.model, board.budget_jobs, board.budget_money, board.currency, board.notify_url)
    theirs = (run.title, run.model, run.budget_jobs, run.budget_money, run.currency, run.notify_url)
    kind = (board.labels, board.draft is not None)
    if (
        terms != theirs
        or kind != (run.labels, run.is_draft)
        or board.provider not in (None, run.provider)
        or len(board.shots) != len(run.story)
    ):
        return False
    return all(_is_said(shot, run, _without_refusals(own)) for shot, own in zip(board.shots, run.story, strict=True))


def _without_refusals(own: Shot) -> Shot:
    """With the input that its storyboard gives it: before a take was refused, and of the final if it is a draft."""
    own = as_written(own)
    fields = {**own.input, **(own.final or {})}
    return replace(own, input={name: value for name, value in fields.items() if value is not None})


def _is_said(shot: Shot, run: Run, own: Shot) -> bool:
    same = (shot.id, shot.scene, shot.input, shot.extra, shot.first_frame, shot.last_frame, shot.provider, shot.model)
    theirs = (own.name, own.scene, own.input, own.extra, own.first_frame, own.last_frame, own.provider, own.model)
    takes = own.set_aside > 0 or (shot.takes_wanted, shot.pick_first) == (own.takes_wanted, own.pick_first)
    source = run.name_of(own.source) if own.source else None
    rest = (shot.gated, shot.source, shot.reaction) == (own.gated, source, own.reaction)
    return same == theirs and takes and rest


# --- what was given, changed -------------------------------------------------------------------------------------


def _edits(board: Storyboard, run: Run) -> Iterator[Edit]:
    """What differs between *board* and *run*, as far as that can be seen value by value."""
    if board.title != run.title:
        yield Edit(path=("title",), value=run.title)
    yield from _budget_edits(board, run)
    paths = list(_paths(board.document))
    if len(paths) != len(run.story) or len(board.shots) != len(run.story):
        return
    style = board.document.get("style")
    story = [_without_refusals(shot) for shot in run.story]
    bare = [_without_style(shot, style) for shot in story]
    if any(prompt is None for prompt in bare):  # Some prompt is given without the style: then all are written out.
        yield Edit(path=("style",), value=GONE)
        bare = [shot.input.get("prompt") for shot in story]
        style = None
    for path, prompt, shot, own in zip(paths, bare, board.shots, story, strict=True):
        if shot.input.get("prompt") != own.input.get("prompt") or (style is None and "style" in board.document):
            yield Edit(path=(*path, "prompt"), value=prompt)
        for name in dict.fromkeys((*shot.input, *own.input)):
            if name != "prompt" and shot.input.get(name) != own.input.get(name):
                yield Edit(path=(*path, name), value=own.input.get(name, GONE))


def _budget_edits(board: Storyboard, run: Run) -> Iterator[Edit]:
    limits = {"jobs": run.budget_jobs, "money": run.budget_money}
    before = {"jobs": board.budget_jobs, "money": board.budget_money}
    if limits == before:
        return
    budget = {name: limit for name, limit in limits.items() if limit is not None}
    if not budget or "budget" not in board.document:
        yield Edit(path=("budget",), value=budget or GONE)
        return
    for name, limit in limits.items():
        if limit != before[name]:
            yield Edit(path=("budget", name), value=GONE if limit is None else limit)


def _paths(document: dict[str, Any]) -> Iterator[Path]:
    """The path of each shot, in the order of the film."""
    for place, _ in enumerate(document.get("shots") or ()):
        yield ("shots", place)
    for scene, group in enumerate(document.get("scenes") or ()):
        for place, _ in enumerate(group.get("shots") or ()):
            yield ("scenes", scene, "shots", place)


def _without_style(shot: Shot, style: object) -> str | None:
    """The prompt of *shot* as it is written next to *style*; None if it cannot be."""
    prompt = str(shot.input.get("prompt") or "")
    if not isinstance(style, str) or not style.strip():
        return prompt
    style = style.strip()
    rest = prompt.removesuffix(style).rstrip()
    return next((bare for bare in (rest.rstrip(",，"), rest) if bare and with_style(bare, style) == prompt), None)


# --- written from the shots --------------------------------------------------------------------------------------


def _document_of(run: Run) -> dict[str, Any]:
    limits = {"jobs": run.budget_jobs, "money": run.budget_money}
    budget = {name: limit for name, limit in limits.items() if limit is not None}
    top = {
        "version": VERSION,
        "title": run.title,
        "provider": run.provider,
        "model": run.model,
        "budget": budget or None,
        "currency": run.currency,
        "notify_url": run.notify_url,
        "labels": run.labels or None,
        "pass": "draft" if run.is_draft else None,
    }
    scenes: list[dict[str, Any]] = []
    for shot in run.story:
        if not scenes or scenes[-1]["id"] != shot.scene:
            scenes.append({"id": shot.scene, "shots": []})
        scenes[-1]["shots"].append(_shot_entry(_without_refusals(shot)))
    return {**{key: value for key, value in top.items() if value is not None}, "scenes": scenes}


def _shot_entry(shot: Shot) -> dict[str, Any]:
    entry = {
        "id": shot.name,
        "prompt": shot.input.get("prompt"),
        "provider": shot.provider,
        "model": shot.model,
        "extra": shot.extra or None,
        "from": None if shot.origin == From.CONTINUE else shot.origin,
        "first_frame": shot.first_frame,
        "last_frame": shot.last_frame,
        "takes": shot.takes_wanted if shot.takes_wanted > 1 else None,
        "pick": "first" if shot.pick_first else None,
        "gate": "approve" if shot.gated else None,
        **_reaction_entry(shot.reaction),
        **{name: value for name, value in shot.input.items() if name != "prompt"},
    }
    return {key: value for key, value in entry.items() if value is not None}


def _reaction_entry(reaction: Reaction | None) -> dict[str, Any]:
    if reaction is None:
        return {}
    on_failed: object = "retake" if reaction.any_failure else None
    if reaction.retakes is not None:
        on_failed = {"retake": reaction.retakes} if reaction.any_failure else "stop"
    return {"on_failed": on_failed, "on_moderated": reaction.moderated or None}
