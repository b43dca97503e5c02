"""``POST /v1/callbacks/{id}/replay``: process a kept callback again, after saying what that would do."""

import asyncio
import secrets
import time
from dataclasses import dataclass

import structlog
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from framerelay.api import shapes
from framerelay.receiver.answers import shape_answer
from framerelay.receiver.callbacks.reading import task_for
from framerelay.receiver.fields import fields_of
from framerelay.receiver.state import State, state_of
from framerelay.runs.errors import Conflict, NotFound, RequestInvalid, StoryboardInvalid
from framerelay.runs.model import TakeStatus
from framerelay.runs.takes import OPEN
from framerelay.runs.tokens import HookAddress, TakeAddress
from framerelay.store.inbox import Callback
from framerelay.store.tasks import Task
from framerelay.storyboards.hooks import read_hooks

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outlook:
    """What a replay would do, in words; *may_spend*: new jobs might be submitted that otherwise would not be."""

    would: str
    may_spend: bool = False
    run_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOffer:
    """A callback as if it arrived once more, with its task, and what that would do."""

    callback: Callback
    task: Task
    outlook: _Outlook

    async def accept(self, state: State) -> None:
        """Do it."""
        await state.inbox.accept(self.callback, fingerprint=self.callback.id, task=self.task)
        log.info(
            "callback_replayed",
            callback_id=self.callback.id,
            replay_of=self.callback.replay_of,
            run_id=self.outlook.run_id,
        )


async def replay(request: Request) -> Response:
    """
    Say what the callback would do now; with ``{"spend": true}`` do it: never as a repeat, but as a new callback.

    Raises: NotFound; Conflict for one that names nothing to ask about.
    """
    state = state_of(request)
    spend = _wants_to_spend(request)
    callback = await kept_callback(state, request.path_params["callback"])
    offer = await replay_offer(state, callback)
    if spend:
        await offer.accept(state)
    return shape_answer(
        shapes.Replay(
            object="replay",
            id=offer.callback.id if spend else None,
            replay_of=callback.id,
            would=offer.outlook.would,
            may_spend=offer.outlook.may_spend,
            run_id=offer.outlook.run_id,
            done=spend,
        )
    )


async def kept_callback(state: State, text: str) -> Callback:
    """The callback that *text* refers to. Raises: NotFound; IdAmbiguous."""
    callback = await state.inbox.find_by_name(text)
    if callback is None:
        raise NotFound("there is no such callback, or it is no longer kept")
    return callback


async def replay_offer(state: State, callback: Callback) -> ReplayOffer:
    """What processing *callback* once more would do. Raises: Conflict for one that names nothing to ask about."""
    if callback.held:
        raise Conflict("it did not prove where it comes from; `framerelay release` verifies it again")
    address = address_of(callback)
    again = replace(
        callback,
        id=f"cb_{secrets.token_hex(10)}",
        received_at=time.time(),
        outcome="replay",
        reason=f"{callback.id} once more",
        replay_of=callback.id,
        ending=None,
        repeats=0,
    )
    task = task_for(address, again)
    if task is None:
        raise Conflict("the callback names no job; there is nothing to ask about")
    return ReplayOffer(callback=again, task=task, outlook=await _outlook(state, address, callback.job_id or ""))


def _wants_to_spend(request: Request) -> bool:
    spend = fields_of(request).get("spend", False)
    if not isinstance(spend, bool):
        raise RequestInvalid("spend is not true or false", param="spend")
    return spend


def address_of(callback: Callback) -> TakeAddress | HookAddress:
    """The address that it came to. Raises: Conflict if that was none of ours."""
    if callback.hook is not None:
        return HookAddress(hook=callback.hook)
    if callback.outcome == "probe":
        raise Conflict("doctor sent it to itself; it is about no job")
    if callback.run_id is None or callback.shot_id is None or callback.take is None:
        raise Conflict("it came to an address that is not ours; nothing is known to ask about")
    return TakeAddress(run_id=callback.run_id, shot_id=callback.shot_id, take=callback.take, provider=callback.provider)


async def _outlook(state: State, address: TakeAddress | HookAddress, job_id: str) -> _Outlook:
    if isinstance(address, TakeAddress):
        return await _outlook_of_take(state, address)
    run_id = state.tokens.hook_run(address.hook, job_id)
    if await state.store.load(run_id) is not None:
        would = f"ask the provider about job {job_id}; its run {run_id} exists already, and no other is made"
        return _Outlook(would=would, run_id=run_id)
    return await _outlook_of_hook(state, address.hook, job_id)


async def _outlook_of_take(state: State, address: TakeAddress) -> _Outlook:
    run = await state.store.load(address.run_id)
    take = run.take(address.shot_id, address.take) if run else None
    if run is None or take is None:
        what = f"take {address.take} of shot {run.name_of(address.shot_id)}" if run else f"run {address.run_id}"
        return _Outlook(would=f"do nothing: {what} is not there", run_id=run.id if run else None)
    name = f"take {take.number} of shot {run.name_of(address.shot_id)} of run {run.id}"
    if take.status not in OPEN:
        return _Outlook(would=f"do nothing: {name} is {take.status.value}, and that is final", run_id=run.id)
    if take.status is TakeStatus.COLLECTING:
        return _Outlook(would=f"do nothing: {name} is done at the provider, its clip is being fetched", run_id=run.id)
    would = f"ask the provider about {name}, which is {take.status.value}; asking submits nothing"
    return _Outlook(would=would, run_id=run.id)


async def _outlook_of_hook(state: State, name: str, job_id: str) -> _Outlook:
    """From this receiver's own settings file; the worker's decides."""
    action = f"ask the provider about job {job_id}, and make a run of it"
    try:
        hooks = await asyncio.to_thread(read_hooks, state.settings.config_file)
    except StoryboardInvalid:
        return _Outlook(would=f"{action}; what follows is not known: the settings file has mistakes", may_spend=True)
    board = hooks[name].storyboard if name in hooks else None
    if board is None:
        return _Outlook(would=f"{action} that keeps the clip and its last frame, and submits nothing")
    takes = sum(shot.takes_wanted for shot in board.shots)
    jobs = takes if board.budget_jobs is None else min(takes, board.budget_jobs)
    would = f"{action} that goes on with the hook's storyboard: {jobs} job{'s' * (jobs != 1)} to submit and pay for"
    return _Outlook(would=would, may_spend=jobs > 0)
