"""``GET /media/{path}``: clips, frames and films, by Range, for clients with the key or a signed link."""

import time

from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.types import Message, Receive, Scope, Send

from framerelay.api.access import Right
from framerelay.api.operations import OPERATIONS
from framerelay.receiver.access import require
from framerelay.receiver.answers import answer_known_error, error_answer
from framerelay.receiver.fields import check_query
from framerelay.receiver.page.missing_file import stand_in
from framerelay.receiver.state import State, state_of
from framerelay.runs.errors import FileMissing, FrameRelayError, NotFound
from framerelay.store.run_files import file_at, missing_words, task_to_make_again

KEPT_S = 3600  # How long a reader may cache a file, which does not change,
SOON_S = 10  # or what stands in for one that is being made.
LINK_S = 3600.0  # The life of a link that a reader is redirected to: a film may be watched for that long,
SENT_S = 600  # and how long the reader may use it again without asking.
AGAIN_S = 2  # A frame is there in a second; a film may take longer, and is answered like this again.


async def serve(request: Request) -> Response:
    """
    The file, or the part of it that ``Range`` asks for; 401 without key or link, 404 if there is none.

    If it is in object storage: 307 to a link that the storage signed, which needs no key and supports ``Range``.

    With ``?small``, for a frame: a copy of at most 480 pixels, if there is one by now.
    """
    state = state_of(request)
    path = request.path_params["path"]
    query = request.query_params
    has_link = state.links.opens(
        f"/media/{path}", expires=query.get("expires", ""), signature=query.get("signature", ""), now=time.time()
    )
    if not has_link:
        await require(request, Right.READ)
        check_query(request, OPERATIONS["GET /media/{path}"].names.query)  # Others may add to a link that we signed.
    wants_small = "small" in query
    small = state.files.small(path) if wants_small else None
    if small is not None and (answer := await _answer(state, small, method=request.method, keep_s=KEPT_S)):
        return answer
    # If the small one does not exist yet, this stands in for it: soon it will.
    if answer := await _answer(state, path, method=request.method, keep_s=SOON_S if wants_small else KEPT_S):
        return answer
    error = await _missing(state, path) if path.startswith("run_") else None
    if error is None:
        raise NotFound("there is no such file")
    plain = await answer_known_error(request, error)
    return plain if has_link else await stand_in(request, plain, error)


async def _answer(state: State, path: str, *, method: str, keep_s: int) -> Response | None:
    """The file, or where it is; None if it is nowhere. Raises: NotFound for no name of ours; StorageFailed."""
    state.files.check(path)
    if link := await state.media.link(path, life_s=LINK_S, method=method):
        headers = {"Cache-Control": f"private, max-age={min(keep_s, SENT_S)}"}
        return RedirectResponse(link, status_code=307, headers=headers)
    try:
        place = await state.media.fetch(path)
    except NotFound:
        return None
    headers = {
        "Cache-Control": f"private, max-age={keep_s}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox",
    }
    # Python 3.11 only knows WebP if the system has a list of types, which small images lack.
    kind = "image/webp" if path.endswith(".webp") else None
    return _File(place, media_type=kind, headers=headers)


async def _missing(state: State, path: str) -> FrameRelayError | None:
    """
    What to say about a run's file that is gone: which one it is, and that it will be made again if it can be; None for
    any other file.

    Only a worker decodes and joins; it gets a task, and the client may ask again.
    """
    run = await state.store.load(path.partition("/")[0])
    run_file = file_at(run, path) if run else None
    if run is None or run_file is None:
        return None
    if not run_file.made_of or not all([await state.media.has(clip.path) for clip in run_file.made_of]):
        return NotFound(missing_words(run_file))
    await state.store.enqueue([task_to_make_again(run, run_file)])
    return FileMissing(
        f"{run_file} was gone from the data folder and is made again: ask again in a moment", retry_after_s=AGAIN_S
    )


class _File(FileResponse):
    """Starlette refuses a Range in plain text; here it becomes the envelope that all errors have."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal: Response | None = None

        async def pass_on(message: Message) -> None:
            nonlocal refusal
            if message["type"] == "http.response.start" and message["status"] >= 400:
                size = dict(message["headers"]).get(b"content-range", b"").decode()
                words = "the file has no such part" if size else "this Range cannot be read"
                headers = {"Content-Range": size} if size else None
                refusal = error_answer(message["status"], "range_invalid", words, param="Range", headers=headers)
            if refusal is None:
                await send(message)

        await super().__call__(scope, receive, pass_on)
        if refusal is not None:
            await refusal(scope, receive, send)
