"""`export`: a run as a folder that needs nobody: film, clips, a timeline for editors, and a manifest with hashes."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from framerelay.api.words import Json
from framerelay.cli.client import Receiver, checked_id
from framerelay.cli.export_folder import Folder
from framerelay.cli.runs import print_json
from framerelay.runs.text import listed

FILM: Final = "film.mp4"
TIMELINE: Final = "film.otio"
MANIFEST: Final = "manifest.json"
VERSION: Final = 1


def export(run_id: str, *, to: Path | None, as_json: bool) -> int:
    """
    Write the run into a folder; returns the exit code.

    What is there already and right is kept, so that an export that broke off, or that came too early, is finished by
    the next one. Raises: Stop for a file that is not ours.
    """
    checked_id(run_id, "run")
    with Receiver.of_environment() as receiver:
        run = receiver.get(f"/v1/runs/{run_id}")
        folder = Folder.open(to or Path(run["id"]), run_id=run["id"], manifest=MANIFEST)
        for shot, take in _takes(run):
            _fetch(receiver, folder, _file(shot, take), take["video"]["url"], take["video"]["sha256"])
        if run["film"] and not _has_film(run, folder):
            _fetch(receiver, folder, FILM, run["film"]["url"], None)
    chosen = {shot["id"]: (_file(shot, take), take) for shot, take in _takes(run) if take["number"] == shot["picked"]}
    from framerelay.cli.timeline import timeline_of

    folder.write(TIMELINE, timeline_of(run, chosen).encode())
    folder.write(MANIFEST, msgspec.json.format(msgspec.json.encode(_manifest(run, folder)), indent=2) + b"\n")
    missing = [shot["id"] for shot in run["shots"] if shot["id"] not in chosen]
    _tell(run, folder, missing, as_json)
    return 0


def _takes(run: Json) -> Iterator[tuple[Json, Json]]:
    """Every take that has a clip, with its shot."""
    for shot in run["shots"]:
        for take in shot["takes"]:
            if take["status"] == "done" and take["video"]:
                yield shot, take


def _file(shot: Json, take: Json) -> str:
    return f"clips/{checked_id(shot['id'], 'shot')}.{take['number']}.mp4"


def _fetch(receiver: Receiver, folder: Folder, name: str, url: str, sha256: str | None) -> None:
    if sha256 is not None and folder.has(name, sha256):
        return
    with folder.draft(name) as draft:
        # By path: the address in a run is the public one, which need not lead here.
        receiver.download(f"/media/{url.partition('/media/')[2]}", draft)
        folder.take_in(name, draft, sha256=sha256)


def _has_film(run: Json, folder: Folder) -> bool:
    """A film of an early version has no hash in its run; it is the same if it was made of the same clips."""
    if run["film"].get("sha256"):
        return folder.has(FILM, str(run["film"]["sha256"]))
    before = folder.before
    if before is None or not before.get("film") or _parts(before) != _parts(run):
        return False
    return folder.has(FILM, str(before["film"]["sha256"]))


def _parts(run: Json) -> list[Any]:
    """What the film of a run, or of a manifest, is made of."""
    return [
        take.get("sha256") or take["video"]["sha256"]
        for shot in run["shots"]
        for take in shot["takes"]
        if take["number"] == shot["picked"] and (take.get("sha256") or take.get("video"))
    ]


def _manifest(run: Json, folder: Folder) -> dict[str, Any]:
    """As docs/export.md describes it; it holds no time of its own, so that an export again is the same bytes."""
    film = run["film"]
    return {
        "object": "manifest",
        "version": VERSION,
        "run": run["id"],
        "title": run["title"],
        "model": run["model"],
        "status": run["status"],
        "created": run["created"],
        "budget": run["budget"],
        "spent": run["spent"],
        "film": film and {**folder.facts(FILM), "duration_s": film["duration_s"], "frames": film["frames"]},
        "timeline": folder.facts(TIMELINE),
        "shots": [
            {
                **{key: shot[key] for key in ("id", "scene", "from", "source", "prompt", "gate", "picked", "status")},
                "takes": [_take(shot, take, folder) for take in shot["takes"]],
            }
            for shot in run["shots"]
        ],
    }


def _take(shot: Json, take: Json, folder: Folder) -> dict[str, Any]:
    facts = {key: take[key] for key in ("number", "status", "job_id", "seed", "submitted", "error")}
    video = take["video"] if take["status"] == "done" else None
    if not video:
        return {**facts, "file": None}
    measures = {key: video[key] for key in ("width", "height", "duration_s", "frames")}
    return {**facts, **folder.facts(_file(shot, take)), **measures}


def _tell(run: Json, folder: Folder, missing: list[str], as_json: bool) -> None:
    if as_json:
        answer = {"object": "export", "run": run["id"], "folder": str(folder.root.absolute()), "missing": missing}
        print_json({**answer, "files": folder.report()})
        return
    if missing:
        gaps = f"{'is a gap' if len(missing) == 1 else 'are gaps'} in {TIMELINE}"
        names = f"{listed(missing[:6], 'and')}{' and others' if len(missing) > 6 else ''}, which {gaps}"
        again = "; export again into the same folder when there is one"
        over = run["status"] == "cancelled"
        click.echo(f"no clip of {names}" if over else f"no clip yet of {names}{again}", err=True)
    for file in folder.report():
        click.echo(f"{'kept   ' if file['kept'] else 'written'}  {file['file']}")
    click.echo(f"export: {folder.root.absolute()}")
    sys.stdout.flush()
