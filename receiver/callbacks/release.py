"""
``POST /v1/callbacks/{id}/release`` and ``POST /v1/callbacks/release``: verify again what is in quarantine.

It is verified as of the time of its receipt, under the current secrets, and then treated like every callback.
"""

import structlog
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from framerelay.api import shapes
from framerelay.config.logs import log_context
from framerelay.receiver.answers import shape_answer
from framerelay.receiver.callbacks.reading import fingerprint_of, interpret, task_for
from framerelay.receiver.callbacks.replay import address_of, kept_callback
from framerelay.receiver.renewal import read_again_everywhere
from framerelay.receiver.state import State, state_of
from framerelay.runs.errors import Conflict, Unverified
from framerelay.store.inbox import Callback

log = structlog.get_logger()


async def release(request: Request) -> Response:
    """
    One callback. Raises: NotFound; Conflict if it is not in quarantine, or still does not prove where it comes from.
    """
    return shape_answer(await release_one(state_of(request), request.path_params["callback"]))


async def release_one(state: State, text: str) -> shapes.Release:
    """Verify again the callback that *text* refers to. Raises: as `release`."""
    await read_again_everywhere(state)
    callback = await kept_callback(state, text)
    if not callback.held:
        await state.inbox.release(callback.id, forget=False)
        raise Conflict(f"it is not in quarantine; it was kept as {callback.outcome}")
    try:
        return await _release(state, callback)
    except Unverified as error:
        raise Conflict(f"it still does not prove where it comes from: {error.message}") from error


async def release_all(request: Request) -> Response:
    """Everything in quarantine, oldest first; the answer says what became of each."""
    return shape_answer(shapes.Releases(object="list", data=await release_each(state_of(request))))


async def release_each(state: State) -> list[shapes.Release]:
    """Verify everything in quarantine again, oldest first."""
    await read_again_everywhere(state)
    outcomes: list[shapes.Release] = []
    for callback_id in await state.inbox.held_ids():
        callback = await state.inbox.find(callback_id)
        if callback is None or not callback.held:
            await state.inbox.release(callback_id, forget=False)
            continue
        try:
            outcomes.append(await _release(state, callback))
        except Unverified as error:
            outcomes.append(_outcome(callback, released=False, repeated=False, reason=error.message))
    return outcomes


async def _release(state: State, callback: Callback) -> shapes.Release:
    """
    Accept it as if it came now, with the same dedupe: the sender may have tried again in the meantime, and been
    accepted.

    It keeps its id: releasing it again after a crash between the two steps does no harm.
    Raises: Unverified.
    """
    address = address_of(callback)
    if not callback.body:
        raise Unverified(f"its body was not kept: {callback.reason}")
    recipe = state.verification.recipe_of(address)
    if recipe is not None:
        state.verification.check(recipe, callback)
    result, _ = interpret(state, address, replace(callback, outcome="accepted", held=False, reason=None))
    fingerprint, task = fingerprint_of(address, result), task_for(address, result)
    is_new = await state.inbox.accept(result, fingerprint=fingerprint, task=task)
    await state.inbox.release(callback.id, forget=not is_new)
    with log_context(run_id=callback.run_id, shot=callback.shot_id, take=callback.take, hook=callback.hook):
        log.info("callback_released", callback_id=callback.id, outcome=result.outcome, repeated=not is_new)
    return _outcome(result, released=True, repeated=not is_new, reason=result.reason)


def _outcome(callback: Callback, *, released: bool, repeated: bool, reason: str | None) -> shapes.Release:
    return shapes.Release(
        object="release",
        id=callback.id,
        released=released,
        outcome=callback.outcome,
        repeated=repeated,
        reason=reason,
    )
