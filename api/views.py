"""Runs, plans, callbacks and notifications as the API shows them, in the shapes that ``/openapi.json`` describes."""

from collections.abc import Mapping
from typing import Final

from msgspec import UNSET

from framerelay.api import shapes
from framerelay.config.logs import redact
from framerelay.config.urls import host_of
from framerelay.network.policy import HOW_TO_TRUST
from framerelay.runs.attention import needs_person
from framerelay.runs.costs import Estimate, together
from framerelay.runs.events import Retaken
from framerelay.runs.limits import submits_to_come
from framerelay.runs.model import Clip, FirstFrame, Frame, Problem, Run, Shot, Take, TakeStatus
from framerelay.runs.outlook import (
    SecondJob,
    clips_that_are_odd,
    is_continued,
    outlook_on,
    seams_that_jump,
    second_jobs,
    stale_shots,
    words_of_retake,
)
from framerelay.runs.standing import (
    awake,
    callbacks_missed,
    cost_of,
    jobs_left,
    jobs_spent,
    needs_operator,
    seems_unreachable,
    takes_in_play,
)
from framerelay.runs.takes import IN_FLIGHT
from framerelay.runs.text import duration
from framerelay.store.inbox import Callback
from framerelay.store.outbox import Notification
from framerelay.storyboards.plan import Plan

UNREACHABLE: Final = shapes.Oddity(
    code="public_url_unreachable",
    message="no callback came about the jobs that are done, they were found by polling, which takes longer: "
    "the provider seems not to reach FRAMERELAY_PUBLIC_URL (try: framerelay doctor)",
)
BODY_CHARS_MAX: Final = 16_384  # A page may list two hundred, and callbacks wait while it is made.


def run_view(run: Run, *, base_url: str, positions: Mapping[str, int] | None = None) -> shapes.Run:
    """
    A run; addresses begin with *base_url* and need the API key.

    *positions*: for shots that wait for a free place at their provider, their position.
    """
    stale = stale_shots(run)
    return shapes.Run(
        id=run.id,
        object="run",
        title=run.title,
        provider=run.provider,
        model=run.model,
        status=run.status,
        revision=run.revision,
        created=int(run.created_at),
        updated=int(run.updated_at),
        hook=run.hook,
        pass_="draft" if run.is_draft else "final",
        promoted_from=run.promoted_from,
        labels=run.labels,
        budget=_budget(run),
        spent=shapes.Spent(jobs=jobs_spent(run)),
        cost=_run_cost(run),
        submits_to_come=submits_to_come(run),
        needs="person" if needs_person(run) else None,
        callbacks_missed=callbacks_missed(run),
        warnings=_warnings(run),
        shots=[
            _shot(run, shot, base_url, stale=shot.id in stale, position=(positions or {}).get(shot.id))
            for shot in run.story
        ],
        dropped=[_shot(run, shot, base_url, stale=False, position=None) for shot in run.archive],
        film=_film(run, base_url),
        error=_problem(run.error),
    )


def outlook_view(run: Run, event: Retaken) -> shapes.Outlook:
    """What a retake would do."""
    outlook = outlook_on(run, event)
    return shapes.Outlook(
        object="outlook",
        jobs=outlook.jobs,
        following=list(outlook.following),
        stale=list(outlook.stale),
        budget_left=jobs_left(run),
        cost=cost_range(outlook.cost) or UNSET,
        would=words_of_retake(run, event),
    )


def callback_view(callback: Callback, *, secrets: tuple[str, ...]) -> shapes.Callback:
    """
    A callback as it came; *secrets* and anything that looks like one are removed from everything that its sender chose.

    Of a long body the beginning is shown; ``bytes`` is the size of the whole.
    """
    beginning = callback.body[: 4 * BODY_CHARS_MAX].decode("utf-8", "replace")
    return shapes.Callback(
        id=callback.id,
        object="callback",
        received=callback.received_at,
        outcome=callback.outcome,
        reason=callback.reason,
        run_id=callback.run_id,
        shot_id=callback.shot_id,
        take=callback.take,
        hook=callback.hook,
        job_id=redact(callback.job_id, secrets=secrets),
        status=redact(callback.word, secrets=secrets),
        replay_of=callback.replay_of,
        repeats=callback.repeats,
        bytes=len(callback.body) if callback.size is None else callback.size,
        body=redact(beginning, secrets=secrets)[:BODY_CHARS_MAX],
    )


def notification_view(notification: Notification) -> shapes.Notification:
    """A notification; only the host of its address, since a path may be a secret."""
    notice = notification.notice
    return shapes.Notification(
        id=notice.id,
        object="notification",
        type=notice.type,
        created=notice.at,
        run_id=notice.run_id,
        shot_id=notice.shot_id,
        status=notice.status,
        host=host_of(notice.to),
        state=notification.state,
        next_try=notification.next_at,
        deliveries=[
            shapes.Delivery(at=each.at, status=each.status, outcome=each.outcome, took_ms=each.took_ms)
            for each in notification.deliveries
        ],
    )


def plan_view(plan: Plan) -> shapes.Plan:
    """A plan as the API shows it."""
    return shapes.Plan(
        id=plan.id,
        object="plan",
        title=plan.title,
        model=plan.model,
        pass_="draft" if plan.is_draft else "final",
        jobs=plan.jobs,
        budget=_budget(plan),
        cost=cost_range(plan.cost),
        longest_chain=plan.longest_chain,
        scenes=[
            shapes.PlannedScene(id=scene, shots=[_planned_shot(plan, shot) for shot in shots])
            for scene, shots in plan.scenes()
        ],
        warnings=[
            shapes.Caution(code=each.code, place=each.place, line=each.line, message=each.message)
            for each in plan.cautions
        ],
    )


def _budget(of: Run | Plan) -> shapes.Budget:
    return shapes.Budget(
        jobs=of.budget_jobs,
        money=UNSET if of.budget_money is None else of.budget_money,
        currency=UNSET if of.currency is None else of.currency,
    )


def cost_range(estimate: Estimate | None) -> shapes.CostRange | None:
    """An approximate amount, rounded to the digits that a price has."""
    if estimate is None:
        return None
    return shapes.CostRange(low=round(estimate.low, 6), high=round(estimate.high, 6), currency=estimate.currency)


def _run_cost(run: Run) -> shapes.RunCost | None:
    tally = cost_of(run)
    if tally is None:
        return None
    return shapes.RunCost(
        spent=tally.spent, reserved=tally.reserved, currency=tally.currency, estimated=tally.estimated
    )


def _take_cost(take: Take) -> shapes.TakeCost | None:
    if take.cost is None:
        return None
    amount, in_flight = round(take.cost.amount, 6), take.status in IN_FLIGHT
    return shapes.TakeCost(
        spent=0.0 if in_flight else amount,
        reserved=amount if in_flight else 0.0,
        currency=take.cost.currency,
        estimated=take.cost.estimated,
    )


def _planned_shot(plan: Plan, shot: Shot) -> shapes.PlannedShot:
    return shapes.PlannedShot(
        id=shot.id,
        origin=shot.origin,
        source=shot.source,
        gate="approve" if shot.gated else None,
        takes=shot.takes_wanted,
        prompt=shot.input["prompt"],
        provider=shot.provider or plan.provider or UNSET,
        model=shot.model or UNSET,
        cost=cost_range(together([(shot.estimate, shot.takes_wanted)])) or UNSET,
    )


def _warnings(run: Run) -> list[shapes.Oddity]:
    jumps = [_jump(shot_id, levels) for shot_id, levels in seams_that_jump(run)]
    odd = [_odd_clip(shot_id, note) for shot_id, note in clips_that_are_odd(run)]
    refusals = [shapes.Oddity(code="notify_url_refused", message=_why_unsent(run.untold))] if run.untold else []
    strange = [
        shapes.Oddity(code="status_unknown", message=_strange_words(run, shot, take))
        for shot in awake(run)
        for take in takes_in_play(shot)
        if _is_strange(take)
    ]
    lacks = [shapes.Oddity(code="film_incomplete", message=words) for words in (run.film.warnings if run.film else ())]
    unreachable = [UNREACHABLE] if seems_unreachable(run) else []
    twice = map(_paid_twice, second_jobs(run))
    return [*unreachable, *twice, *refusals, *strange, *jumps, *filter(None, odd), *lacks]


def _jump(shot_id: str, levels: float) -> shapes.Oddity:
    message = f"shot {shot_id} opens {levels:.1f} of 255 levels away from the frame that it was given"
    return shapes.Oddity(code="seam_jumps", message=f"{message}: look at that seam; another take may fit better")


def _paid_twice(second: SecondJob) -> shapes.Oddity:
    jobs = f"{second.first or 'a job'} and {second.second}"
    message = (
        f"shot {second.shot_id}: the provider made two jobs for take {second.take} ({jobs}), so it was paid for twice; "
        f"the clip of the second one is kept as take {second.kept_as}. Redis may have fallen back to an older copy, "
        "or the submit was sent on twice on its way"
    )
    return shapes.Oddity(code="paid_twice", message=message)


def _odd_clip(shot_id: str, note: str) -> shapes.Oddity | None:
    match note:
        case "hdr_pq" | "hdr_hlg":
            kind = note.removeprefix("hdr_").upper()
            message = f"the clip of shot {shot_id} is HDR ({kind}): its last frame was handed on in SDR"
            return shapes.Oddity(code="clip_hdr", message=f"{message}; ask the model for SDR if you can")
        case "interlaced":
            message = f"the clip of shot {shot_id} is interlaced: its last frame, which is handed on, shows two moments"
            return shapes.Oddity(code="clip_interlaced", message=message)
    return None  # From a later version.


def _is_strange(take: Take) -> bool:
    """Whether the last look-up gave a status that we do not know; that there is no such job is its error."""
    return take.status is TakeStatus.GENERATING and take.strange_since is not None and take.error is None


def _strange_words(run: Run, shot: Shot, take: Take) -> str:
    word = f'says "{redact(take.word)}"' if take.word else "names no status"
    when = "you are asked about it" if take.question else f"you are asked after {duration(run.terms.ask_after_s)}"
    return (
        f"shot {shot.name}: the provider {word} of job {take.job_id}, which is not known here; it is looked up, {when}"
    )


def _why_unsent(problem: Problem) -> str:
    return f"nothing is sent to notify_url: {redact(problem.message)}; {HOW_TO_TRUST}"


def _shot(run: Run, shot: Shot, base_url: str, *, stale: bool, position: int | None) -> shapes.Shot:
    return shapes.Shot(
        id=shot.name,
        scene=shot.scene,
        provider=run.provider_of(shot),
        model=run.model_of(shot),
        origin=shot.origin,
        source=run.name_of(shot.source) if shot.source else None,
        status=shot.status,
        prompt=shot.input.get("prompt"),
        gate="approve" if shot.gated else None,
        approved=shot.approved,
        picked=shot.picked,
        set_aside=shot.set_aside,
        takes_wanted=shot.takes_wanted,
        pick="first" if shot.pick_first else None,
        stale=stale,
        following=shot.following is not None,
        alternative_since=shot.reaction.since if shot.reaction else None,
        continued=not shot.dropped and is_continued(run, shot),
        held_by=_problem(shot.held_by),
        queue_position=UNSET if position is None else position,
        next_try=shot.due_at if shot.held_by and not needs_operator(shot) else None,
        error=_problem(shot.error),
        takes=[_take(take, base_url) for take in shot.takes],
    )


def _take(take: Take, base_url: str) -> shapes.Take:
    return shapes.Take(
        number=take.number,
        status=take.status,
        job_id=take.job_id,
        seed=take.seed,
        submitted=take.submitted_at,
        rendered=take.rendered_at,
        called_back=take.called_back,
        next_look=take.due_at,
        usual_s=take.usual_s,
        provider_status=take.word,
        provider_status_known=not _is_strange(take),
        cost=_take_cost(take),
        usage=dict(redact(take.usage)),
        error=_problem(take.error),
        question=_problem(take.question),
        video=_video(take.video, base_url) if take.video and take.video.kept else None,
        first_frame=_first_frame(take.first_frame, base_url),
        last_frame=_frame(take.last_frame, base_url),
        provider_frame=_frame(take.provider_frame, base_url),
        opening=_frame(take.opening, base_url),
        seam=None if take.seam is None else shapes.Seam(difference=take.seam),
        twin_of=take.twin_of,
        spare=take.spare,
    )


def _video(clip: Clip | None, base_url: str) -> shapes.Video | None:
    if clip is None:
        return None
    return shapes.Video(
        url=_url(clip.path, base_url),
        sha256=clip.sha256,
        bytes=clip.bytes,
        width=clip.width,
        height=clip.height,
        duration_s=round(clip.duration_s, 3),
        frames=clip.frames,
        notes=list(clip.notes),
    )


def _frame(frame: Frame | None, base_url: str) -> shapes.Frame | None:
    if frame is None:
        return None
    return shapes.Frame(
        url=_url(frame.path, base_url),
        sha256=frame.sha256,
        width=frame.width or UNSET,
        height=frame.height if frame.width else UNSET,
    )


def _first_frame(first: FirstFrame | None, base_url: str) -> shapes.FirstFrame | None:
    """Our own file if there is one; a provider's address only without its query, which may hold a signature."""
    if first is None:
        return None
    url = _url(first.path, base_url) if first.path else redact(first.url)
    return shapes.FirstFrame(url=url if not url.startswith("data:") else "data:", source=first.source)


def _film(run: Run, base_url: str) -> shapes.Film | None:
    film = run.film
    if film is None:
        return None
    return shapes.Film(
        url=_url(film.path, base_url),
        bytes=film.bytes,
        duration_s=round(film.duration_s, 3),
        frames=film.frames,
        copied=film.copied,
        reason=film.reason,
        takes=None if film.takes is None else {run.name_of(name): take for name, take in film.takes.items()},
        sha256=film.sha256,
        warnings=list(film.warnings),
    )


def _problem(problem: Problem | None) -> shapes.Problem | None:
    if problem is None:
        return None
    return shapes.Problem(code=problem.code, message=redact(problem.message), family=problem.family)


def _url(path: str, base_url: str) -> str:
    return f"{base_url}/media/{path}"
