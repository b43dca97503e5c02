"""
The tools that an assistant gets: plan a film, start it within a limit, look, decide, fetch the result.

Each asks the run API once or twice and answers at once; nothing is kept between calls. Tools that spend require the id
of what was looked at before: a plan's, or an outlook's.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from mcp.types import CallToolResult, ContentBlock, ImageContent, TextContent
from pydantic import Field, WithJsonSchema

from framerelay.api import shapes
from framerelay.api.storyboard_schema import STORYBOARD_SCHEMAS
from framerelay.cli.client import Receiver, checked_id
from framerelay.cli.errors import CommandError
from framerelay.cli.mcp.links import Addresses
from framerelay.cli.mcp.results import (
    AmendAnswer,
    ClipOf,
    FilmBoard,
    FilmPlan,
    FilmResult,
    Films,
    FilmStatus,
    PromotionAnswer,
    RetakeAnswer,
    amend_answer,
    clips_of,
    films_answer,
    plan_answer,
    promotion_answer,
    retake_answer,
    status_answer,
)
from framerelay.cli.mcp.strip import SHOTS_MAX, Thumbnails, draw_strip
from framerelay.cli.start import give_pictures
from framerelay.config.settings import from_environment
from framerelay.runs.errors import Mistake, StoryboardInvalid
from framerelay.storyboards.storyboard import Storyboard, check_storyboard


def _storyboard_schema() -> dict[str, Any]:
    """The schema of a storyboard in one piece; the definitions of `/openapi.json` name each other."""
    shot = STORYBOARD_SCHEMAS["StoryboardShot"]
    scene = json.loads(json.dumps(STORYBOARD_SCHEMAS["StoryboardScene"]))
    whole = json.loads(json.dumps(STORYBOARD_SCHEMAS["Storyboard"]))
    scene["properties"]["shots"]["items"] = whole["properties"]["shots"]["items"] = shot
    whole["properties"]["scenes"]["items"] = scene
    return {**whole, "description": "Scenes of shots, or the shots of one scene."}


Board = Annotated[dict[str, Any], WithJsonSchema(_storyboard_schema())]
SameBoard = Annotated[dict[str, Any], Field(description="The storyboard, exactly as it was planned.")]
RunParameter = Annotated[str, Field(description="The film's run, as start_film answered it: run_…")]
ShotParameter = Annotated[str, Field(description="The shot's id in its storyboard.")]


class Tools:
    """The tools; *pictures* is the folder whose pictures a storyboard may name, None if it may name none."""

    def __init__(self, pictures: Path | None) -> None:
        self._pictures = pictures
        self._thumbnails = Thumbnails()

    def plan_film(self, storyboard: Board) -> FilmPlan:
        """
        Say what a storyboard would do and cost: its shots, its paid jobs, what may go wrong. It is free.

        Always the first step; its plan_id is what start_film asks for. A shot begins with the last frame of the shot
        before it in its scene, unless `from` says otherwise (cut: a new beginning; bridge: also end on last_frame; or
        the id of an earlier shot). Scenes are made side by side. `gate: approve` makes a shot wait for a person,
        `takes: 2` makes two to pick from. Every mistake of a storyboard is named with its place.
        Example: {"title": "Rain", "model": "seedance-1.5-pro-1080p", "defaults": {"resolution": "720p", "duration": 5,
        "ratio": "16:9"}, "shots": [{"id": "s1", "prompt": "A car in the neon rain"}, {"id": "s2", "prompt": "Closer"}]}
        """
        with Receiver.of_environment(quiet=True) as receiver:
            board = self._with_pictures(receiver, storyboard)
            return plan_answer(receiver.post("/v1/plan", shapes.Plan, json=board.document))

    def start_film(
        self,
        storyboard: SameBoard,
        plan_id: Annotated[str, Field(description="From plan_film, after the person has seen what it costs.")],
        max_jobs: Annotated[int, Field(ge=1, description="Paid jobs at most, whatever fails. A hard limit.")],
    ) -> FilmStatus:
        """
        Start a planned film. This spends money: one paid job for each take, and never more than max_jobs.

        It answers at once; rendering takes minutes for each shot, film_status tells how far it is. Calling it again
        with the same plan_id starts nothing new and answers the same film: change the title to make a second one.
        """
        if not plan_id.startswith("plan_"):
            raise CommandError("call plan_film first, show the person what it costs, and give its plan_id")
        headers = {"Plan": plan_id, "Max-Jobs": str(max_jobs), "Idempotency-Key": f"mcp-{plan_id}"}
        with Receiver.of_environment(quiet=True) as receiver:
            board = self._with_pictures(receiver, storyboard)
            run = receiver.start(board.document, headers=headers)
            status = self._status(receiver, run)
        budget = run.budget.jobs
        if budget is None or budget > max_jobs:
            status.next.insert(0, f"It was started before, with a limit of {budget} jobs, which stays as it is.")
        return status

    def list_films(
        self,
        limit: Annotated[int, Field(ge=1, le=100, description="At most this many.")] = 20,
        search: Annotated[str | None, Field(description="Words of the title, of labels or of the hook.")] = None,
        labels: Annotated[dict[str, str] | None, Field(description='As {"project": "rain"}: those with all.')] = None,
        needs_person: Annotated[bool, Field(description="Only those that wait for a person, or ask one.")] = False,
    ) -> Films:
        """List the films of this receiver, newest first: to find one of before, or those that need a person."""
        query = {
            "q": search,
            "label": [f"{name}:{value}" for name, value in (labels or {}).items()] or None,
            "needs": "person" if needs_person else None,
        }
        with Receiver.of_environment(quiet=True) as receiver:
            return films_answer(receiver.get("/v1/runs", shapes.Runs, **query, limit=limit))

    def film_status(
        self,
        run: RunParameter,
        strip: Annotated[bool, Field(description="Add the film strip as a picture.")] = True,
    ) -> Annotated[CallToolResult, FilmStatus]:
        """
        Say where a film stands, what happens next and whose turn it is, with its film strip as one picture.

        It answers at once and waits for nothing; a shot takes minutes, so ask again in a minute rather than at once.
        The strip has a cell for each shot: its first and its last frame, side by side.
        """
        with Receiver.of_environment(quiet=True) as receiver:
            film_run = receiver.run(run)
            drawing = draw_strip(film_run, receiver.picture, self._thumbnails) if strip else None
            words = f"{drawing.frames} frames of {', '.join(drawing.shots)}" if drawing else None
            if drawing and len(film_run.shots) > SHOTS_MAX:
                words = f"{words}, of {len(film_run.shots)} shots"
            status = self._status(receiver, film_run, strip=words).model_dump(mode="json")
        content: list[ContentBlock] = [TextContent(type="text", text=json.dumps(status, ensure_ascii=False))]
        if drawing and drawing.frames:
            picture = base64.b64encode(drawing.png).decode()
            content.append(ImageContent(type="image", data=picture, mimeType="image/png"))
        return CallToolResult(content=content, structuredContent=status)

    def approve_shot(
        self,
        run: RunParameter,
        shot: ShotParameter,
        prompt: Annotated[str | None, Field(description="Another prompt, whole. Default: as planned.")] = None,
        seed: Annotated[int | None, Field(description="Another seed. Default: as planned.")] = None,
    ) -> FilmStatus:
        """
        Let a shot that waits for approval (`gate: approve`) be made. It spends what was planned, within the limit.

        Ask the person first, with the strip of film_status: the shot begins with the last frame of the one before.
        """
        body = {"prompt": prompt, "seed": seed}
        return self._decide(run, f"shots/{checked_id(shot, 'shot')}/approve", body)

    def pick_take(
        self,
        run: RunParameter,
        shot: ShotParameter,
        take: Annotated[int, Field(ge=1, description="The take's number.")],
    ) -> FilmStatus:
        """
        Choose the take of a shot that the film goes on from; shots that wait for it are submitted then.

        For shots with several takes, and to go back after a retake. The choice is the person's.
        """
        return self._decide(run, f"shots/{checked_id(shot, 'shot')}/pick", {"take": take})

    def cancel_film(self, run: RunParameter) -> FilmStatus:
        """
        Stop a film for good: nothing more is submitted. Jobs under way are paid for; their clips are still kept.

        There is no way back. Ask the person first.
        """
        return self._decide(run, "cancel", {})

    def retake_shot(
        self,
        run: RunParameter,
        shot: ShotParameter,
        prompt: Annotated[str | None, Field(description="Another prompt, whole. Default: the same.")] = None,
        seed: Annotated[int | None, Field(description="Another seed. Default: the last one + 1.")] = None,
        following: Annotated[bool, Field(description="And all that is made from it, in order.")] = False,
        outlook_id: Annotated[str | None, Field(description="To confirm: from the first call.")] = None,
        max_jobs: Annotated[int | None, Field(description="To confirm: the most paid jobs it may lead to.")] = None,
    ) -> RetakeAnswer:
        """
        Make a shot again. The first call, without outlook_id, is free and says what it would cost and make stale.

        Only a second call with the same arguments, the outlook_id of the first and max_jobs does it, and spends. If
        anything has changed in the meantime it is refused; a repeated confirmation is, too, and so never pays twice.
        """
        changes = {"prompt": prompt, "seed": seed, **({"following": True} if following else {})}
        with Receiver.of_environment(quiet=True) as receiver:
            film_run = receiver.run(run)
            # What was given may be the beginning of the id, or last.
            place = f"/v1/runs/{film_run.id}/shots/{checked_id(shot, 'shot')}/retake"
            outlook = receiver.post(place, shapes.Outlook, json={**changes, "dry_run": True})
            current = _outlook_id(film_run, shot, changes, outlook)
            if outlook_id is None:
                return retake_answer(outlook, shot_id=shot, outlook_id=current, begun=False)
            _check_confirmation(outlook_id, current, max_jobs, outlook.jobs)
            receiver.post(place, shapes.Run, json={**changes, "revision": film_run.revision})
            return retake_answer(outlook, shot_id=shot, outlook_id=current, begun=True)

    def film_storyboard(self, run: RunParameter) -> FilmBoard:
        """
        Give the storyboard of a film as it is now, with what was decided since. It is free.

        To change the film, change this and give it to amend_film; plan_film and start_film make another film of it.
        """
        with Receiver.of_environment(quiet=True) as receiver:
            film_run = receiver.run(run)
            storyboard = json.loads(receiver.storyboard(film_run.id, kind="application/json"))
        return FilmBoard(run=film_run.id, storyboard=storyboard, next="Change it, then amend_film; that asks first.")

    def amend_film(
        self,
        run: RunParameter,
        storyboard: Annotated[Board, Field(description="The whole storyboard: film_storyboard's, changed.")],
        outlook_id: Annotated[str | None, Field(description="To confirm: from the first call.")] = None,
        max_jobs: Annotated[int | None, Field(description="To confirm: paid jobs at most from now on.")] = None,
    ) -> AmendAnswer:
        """
        Give a film another storyboard, whole, at any time: scenes moved, shots changed, added, dropped.

        Shots that ask for what they asked for keep their takes, wherever they stand and whatever they are called; the
        others are made, with all that is made from them. The first call, without outlook_id, is free and says which,
        and how many paid jobs that takes: show the person. Only a second call with the same storyboard, the outlook_id
        of the first and max_jobs does it; max_jobs is a hard limit. If the film has changed since, it is refused.
        """
        with Receiver.of_environment(quiet=True) as receiver:
            board = self._with_pictures(receiver, storyboard)
            film_run = receiver.run(run)
            terms: dict[str, Any] = {"wording": board.wording, "revision": film_run.revision}
            outlook = receiver.amend(film_run.id, shapes.AmendOutlook, board.document, dry_run=True, **terms)
            current = _id_of_outlook([film_run.id, film_run.revision, board.document, outlook.would])
            if outlook_id is None:
                return amend_answer(outlook, outlook_id=current, begun=False)
            _check_confirmation(outlook_id, current, max_jobs, outlook.jobs)
            headers = {"Max-Jobs": str(max(1, film_run.spent.jobs + (max_jobs or 0)))}
            receiver.amend(film_run.id, shapes.Run, board.document, headers=headers, **terms)
            return amend_answer(outlook, outlook_id=current, begun=True)

    def continue_film(
        self,
        run: RunParameter,
        max_jobs: Annotated[int, Field(ge=1, description="Paid jobs at most, in all, those before included.")],
    ) -> FilmStatus:
        """
        Let a film go on that failed or waits, once the cause is fixed, or within a larger limit when that is spent.

        Ask the person first: what it still needs is paid for, up to the limit. What was rendered is never paid again.
        """
        return self._decide(run, "resume", {"budget": {"jobs": max_jobs}})

    def promote_film(
        self,
        run: RunParameter,
        outlook_id: Annotated[str | None, Field(description="To confirm: from the first call.")] = None,
        max_jobs: Annotated[int | None, Field(ge=1, description="To confirm: paid jobs at most.")] = None,
    ) -> PromotionAnswer:
        """
        Make the final of a draft (`pass: draft`), from the takes that were picked: a separate, expensive film.

        The first call, without outlook_id, is free and says what it would cost. Only a second one, with the outlook_id
        of the first and max_jobs, does it, and spends; repeated it answers the same film and spends nothing more.
        """
        with Receiver.of_environment(quiet=True) as receiver:
            draft = receiver.run(run)
            place = f"/v1/runs/{draft.id}/promote"
            outlook = receiver.post(place, shapes.Outlook, json={"dry_run": True})
            picks = {each.id: each.picked for each in draft.shots}
            current = _id_of_outlook([draft.id, "promote", picks, outlook.jobs])
            if outlook_id is None:
                return promotion_answer(outlook, outlook_id=current)
            if outlook_id != current:
                raise CommandError("this is not the outlook that you asked for, or the draft has changed: look again")
            if max_jobs is None or max_jobs < outlook.jobs:
                raise CommandError(f"it leads to {outlook.jobs} paid jobs: ask the person, then give max_jobs")
            final = receiver.post(place, shapes.Run, json={"budget": {"jobs": max_jobs}})
            return promotion_answer(outlook, outlook_id=current, run=final)

    def film_result(self, run: RunParameter) -> FilmResult:
        """
        Give the film and the clips that it is made of: links or paths that can be opened, sizes and SHA-256.

        It is free, and works before the film is done, too: then with the clips that there are.
        """
        settings = from_environment()
        with Receiver(settings) as receiver:
            film_run = receiver.run(run)
            files = Addresses(receiver, settings)
            film = files.of(film_run.film) if film_run.film else None
            clips = [
                ClipOf(
                    shot=shot.id,
                    take=take.number,
                    job_id=take.job_id,
                    seed=take.seed,
                    video=files.of(video),
                )
                for shot, take, video in clips_of(film_run)
            ]
        status = status_answer(film_run, page="")
        next_step = "Give the person the link of the film." if film else " ".join(status.next)
        return FilmResult(
            run=film_run.id,
            title=status.title,
            status=film_run.status,
            film=film,
            clips=clips,
            links_end=files.links_end,
            next=next_step,
        )

    def _decide(self, run_id: str, what: str, body: Mapping[str, object]) -> FilmStatus:
        with Receiver.of_environment(quiet=True) as receiver:
            answer = receiver.post(f"/v1/runs/{checked_id(run_id, 'run')}/{what}", shapes.Run, json=body)
            return self._status(receiver, answer)

    def _status(self, receiver: Receiver, run: shapes.Run, *, strip: str | None = None) -> FilmStatus:
        return status_answer(run, page=f"{receiver.url}/runs/{run.id}", strip=strip)

    def _with_pictures(self, receiver: Receiver, document: dict[str, Any]) -> Storyboard:
        """*document* with its pictures uploaded. Raises: StoryboardInvalid, also for files outside the folder."""
        board = check_storyboard(document)
        files = board.local_files()
        outside = [
            Mistake(place=places[0], message=_why_no_file(name, self._pictures))
            for name, places in files.items()
            if not _is_inside(name, self._pictures)
        ]
        if outside:
            raise StoryboardInvalid(outside)
        return board.with_files(give_pictures(receiver, board, self._pictures)) if self._pictures else board


def _outlook_id(run: shapes.Run, shot_id: str, changes: Mapping[str, object], outlook: shapes.Outlook) -> str:
    """Identifies a request and its outlook; one more take changes it, so that it can be used once."""
    takes = [len(each.takes) for each in run.shots]  # Of all: the given id may be the beginning of a shot's id.
    return _id_of_outlook([run.id, shot_id, changes, takes, outlook.jobs, outlook.following, outlook.stale])


def _id_of_outlook(whole: list[object]) -> str:
    return f"outlook_{hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:24]}"


def _check_confirmation(outlook_id: str, current: str, max_jobs: int | None, jobs: int) -> None:
    """Raises: CommandError unless what is confirmed is what was asked about, within a sufficient limit."""
    if outlook_id != current:
        raise CommandError("this is not the outlook that you asked for, or the film has changed: look again first")
    if max_jobs is None or max_jobs < jobs:
        raise CommandError(f"it leads to {jobs} paid jobs: ask the person, then give max_jobs")


def _is_inside(name: str, folder: Path | None) -> bool:
    """Text from an assistant opens no other file of this computer."""
    return folder is not None and (folder / name).resolve().is_relative_to(folder.resolve())


def _why_no_file(name: str, folder: Path | None) -> str:
    if folder is None:
        return f"{name} is a file of this computer: give a URL, or start the server with --pictures FOLDER"
    return f"{name} is not in {folder}, from which pictures may be taken"
