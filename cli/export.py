"""`export`: a run as a self-contained folder: film, clips, a timeline for editors, and a manifest with hashes."""

import sys
from pathlib import Path

import msgspec

from framerelay.api import shapes
from framerelay.api.manifest import FILM, MANIFEST, TIMELINE, clips_of, manifest_of
from framerelay.cli.client import Receiver
from framerelay.cli.export_folder import Folder
from framerelay.cli.output import echo
from framerelay.cli.runs import print_json
from framerelay.languages.catalogs import translate
from framerelay.languages.columns import ljust
from framerelay.runs.text import join_names


def export(run_id: str, *, to: Path | None, as_json: bool) -> int:
    """
    Write the run into a folder; returns the exit code.

    Files that are already there and correct are kept, so that an export that was interrupted, or that came too early,
    is finished by the next one. Raises: CommandError for a file that is not ours.
    """
    with Receiver.of_environment() as receiver:
        run = receiver.run(run_id)
        folder = Folder.open(to or Path(run.id), run_id=run.id)
        clips = [clip for shot in run.shots for clip in clips_of(shot)]
        for clip in clips:
            _fetch(receiver, folder, clip.file, clip.video.url, clip.video.sha256)
        if run.film and not _has_film(run, run.film, folder):
            _fetch(receiver, folder, FILM, run.film.url, None)
    film_clips = {clip.shot.id: clip for clip in clips if clip.take.number == clip.shot.picked}
    from framerelay.api.timeline import timeline_of

    folder.write(TIMELINE, timeline_of(run, film_clips).encode())
    manifest = msgspec.json.encode(manifest_of(run, folder.facts))
    folder.write(MANIFEST, msgspec.json.format(manifest, indent=2) + b"\n")
    _report(run, folder, [shot.id for shot in run.shots if shot.id not in film_clips], as_json)
    return 0


def _fetch(receiver: Receiver, folder: Folder, name: str, url: str, sha256: str | None) -> None:
    if sha256 is not None and folder.has(name, sha256):
        return
    with folder.draft(name) as draft:
        # By path: the address in a run is the public one, which need not lead here.
        receiver.download(f"/media/{url.partition('/media/')[2]}", draft)
        folder.take_in(name, draft, sha256=sha256)


def _has_film(run: shapes.Run, film: shapes.Film, folder: Folder) -> bool:
    """A film of an early version has no hash in its run; it is the same if it was made from the same clips."""
    if film.sha256:
        return folder.has(FILM, film.sha256)
    before = folder.before
    if before is None or before.film is None or before.film.sha256 is None or before.film_hashes != _film_hashes(run):
        return False
    return folder.has(FILM, before.film.sha256)


def _film_hashes(run: shapes.Run) -> list[str]:
    """Of the clips that its film is made from."""
    takes = [take for shot in run.shots for take in shot.takes if take.number == shot.picked]
    return [take.video.sha256 for take in takes if take.video]


def _report(run: shapes.Run, folder: Folder, missing: list[str], as_json: bool) -> None:
    if as_json:
        answer = {"object": "export", "run": run.id, "folder": str(folder.root.absolute()), "missing": missing}
        print_json({**answer, "files": folder.report()})
        return
    if missing:
        echo(_missing_words(missing, is_over=run.status == "cancelled"), err=True)
    for file in folder.report():
        echo(f"{ljust(translate('kept' if file.kept else 'written'), 7)}  {file.file}")
    echo(f"export: {folder.root.absolute()}")
    sys.stdout.flush()


def _missing_words(missing: list[str], *, is_over: bool) -> str:
    """Which shots have no clip, and that the timeline has gaps there; *is_over*: there will be none."""
    names = f"{join_names(missing[:6], 'and')}{' and others' if len(missing) > 6 else ''}"
    gaps = f"which is a gap in {TIMELINE}" if len(missing) == 1 else f"which are gaps in {TIMELINE}"
    if is_over:
        return f"no clip of {names}, {gaps}"
    return f"no clip yet of {names}, {gaps}; export again into the same folder when there is one"
