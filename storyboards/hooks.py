"""
Hooks: named callback addresses for jobs that somebody else submits, and the runs made from these jobs.

``framerelay.yaml`` names them; a hook that it does not name keeps the clip and its last frame, and nothing else.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from framerelay.network.policy import TrustedHosts
from framerelay.runs.errors import StoryboardInvalid
from framerelay.runs.machine import begin
from framerelay.runs.model import From, Run, RunId, Shot, Take, TakeStatus, Terms
from framerelay.storyboards.notation import Form, excerpt
from framerelay.storyboards.parts import Part
from framerelay.storyboards.settings_file import FILE_KEYS, HOOK_KEYS, read_settings_file
from framerelay.storyboards.storyboard import UNTITLED, Storyboard, read_notify_url, read_storyboard, storyboard_of

START: Final = "start"  # The shot whose one take is the job that called; no shot of a hook's storyboard has this id.


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """What to do with a job that calls back at the hook *name*; ``storyboard`` continues from the job's last frame."""

    name: str
    storyboard: Storyboard | None = None
    notify_url: str | None = None
    title: str | None = None


def read_hooks(path: Path, trusted_hosts: TrustedHosts | None = None) -> dict[str, Hook]:
    """
    The hooks of the settings file *path*, by name; empty if there is no such file.

    A storyboard is in it, or is named by a path relative to it. *trusted_hosts* as in `read_storyboard`.
    Raises: StoryboardInvalid with every mistake in this file and in those that it names.
    """
    return read_settings_file(path, lambda root: _read_root(root, path.parent, trusted_hosts)) or {}


def hook_run(hook: Hook, *, run_id: RunId, job_id: str, model: str, now: float, terms: Terms) -> Run:
    """
    A new run, not stored yet, that begins with the job *job_id*: the one take of its first shot, to be looked up now.

    *model* made that clip; the shots that follow use the storyboard's. Its budget is for jobs that we submit, so the
    job that was paid for elsewhere is added to it.
    """
    board = hook.storyboard
    budget = board.budget_jobs if board else None
    return begin(
        Run(
            id=run_id,
            title=hook.title or (board.title if board and board.title != UNTITLED else hook.name),
            model=board.model if board else model,
            created_at=now,
            updated_at=now,
            shots=(_start(job_id, board, now), *(board.shots if board else ())),
            terms=terms,
            budget_jobs=None if budget is None else budget + 1,
            notify_url=hook.notify_url or (board.notify_url if board else None),
            hook=hook.name,
            labels=board.labels if board else {},
        )
    )


def _start(job_id: str, board: Storyboard | None, now: float) -> Shot:
    """The shot of the adopted job; it is not a take of our own, so we never submit it again if it fails."""
    take = Take(number=1, status=TakeStatus.GENERATING, intent="hook", submitted_at=now, due_at=now, job_ids=(job_id,))
    scene = board.shots[0].scene if board else "main"
    return Shot(id=START, scene=scene, origin=From.CUT.value, source=None, input={}, takes_wanted=0, takes=(take,))


def _read_root(root: Part, folder: Path, trusted_hosts: TrustedHosts | None) -> dict[str, Hook]:
    top = root.group(FILE_KEYS) or {}
    if "hooks" not in top or top["hooks"].value is None:
        return {}
    return {
        name: _read_hook(name, part, folder, trusted_hosts) for name, part in (top["hooks"].named_parts() or {}).items()
    }


def _read_hook(name: str, part: Part, folder: Path, trusted_hosts: TrustedHosts | None) -> Hook:
    if part.value is None:
        return Hook(name=name)
    keys = part.group(HOOK_KEYS) or {}
    return Hook(
        name=name,
        storyboard=_read_board(keys["storyboard"], folder, trusted_hosts) if "storyboard" in keys else None,
        notify_url=read_notify_url(keys["notify_url"], trusted_hosts) if "notify_url" in keys else None,
        title=keys["title"].text() if "title" in keys else None,
    )


def _read_board(part: Part, folder: Path, trusted_hosts: TrustedHosts | None) -> Storyboard | None:
    """Frames must already be stored here: when a job calls, nobody is there to upload a file."""
    if isinstance(part.value, dict):
        return storyboard_of(part, allow_paths=False, before=START, trusted_hosts=trusted_hosts)
    name = part.text()
    if name is None:
        return None
    try:
        text = (folder / name).read_bytes()
        form: Form = "json" if name.lower().endswith(".json") else "yaml"
        return read_storyboard(text, form=form, allow_paths=False, before=START, trusted_hosts=trusted_hosts)
    except OSError as error:
        part.complain(f"{excerpt(name)} cannot be read: {(error.strerror or 'it is not a file').lower()}")
    except ValueError:
        part.complain(f'"{excerpt(name)}" is not the name of a file')
    except StoryboardInvalid as error:
        for mistake in error.mistakes:
            part.complain(f"in {excerpt(name)}, {mistake}")
    return None
