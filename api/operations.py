"""
The parameters and answers of every route, in words; `api.openapi` writes it out as ``/openapi.json``.

A new route is a new line in `OPERATIONS`; a test compares them with the existing routes, others compare real answers
with what is said here.
"""

from collections.abc import Mapping
from typing import Final

from framerelay.api import shapes
from framerelay.api.access import VIDEO_BYTES_MAX, Right
from framerelay.api.amend_operations import AMEND_OPERATIONS
from framerelay.api.decision_bodies import BUDGET, CHANGE, YES_NO, fields_schema
from framerelay.api.operation import BOARD, FORM, Body, Operation, RouteAnswer
from framerelay.api.storyboard_schema import Schema


def _decision(schema: Schema | None = None, *, needs: tuple[str, ...] = ()) -> Body:
    """A JSON object that may be left out if it *needs* nothing."""
    fields = {**(schema or {}), "revision": REVISION}
    return Body(kinds=("application/json",), schema=fields_schema(fields, needs=needs), required=bool(needs))


REVISION: Final[Schema] = {
    "description": "The revision that the person looked at: if the run has another one now, 409 and nothing happens.",
    "anyOf": [{"type": "integer"}, {"type": "null"}],
}
NAME: Final[Schema] = {"type": "string", "pattern": "^[!-~]{1,200}$"}

CALLBACK_BODY: Final = Body(
    kinds=("application/json",),
    schema={
        "type": "object",
        "description": "Whatever the provider says about a job; only its id and status are read, and not believed.",
    },
)
PICTURE: Final = Body(
    kinds=(
        "application/octet-stream",
        "image/png",
        "image/jpeg",
        "image/webp",
        "image/gif",
        "image/bmp",
        "image/tiff",
        "video/mp4",
        "video/webm",
    ),
    schema={"type": "string", "format": "binary", "maxLength": VIDEO_BYTES_MAX},
)
NOTHING: Final = Body(kinds=("application/json",), schema=fields_schema({}), required=False)
LOGIN: Final = Body(
    kinds=FORM,
    schema=fields_schema({"key": {"type": "string"}, "next": {"type": "string"}}, needs=("key",)),
)
LOGOUT: Final = Body(kinds=FORM, schema=fields_schema({}), required=False)

_RUN: Final = {200: RouteAnswer(about="The run as it is afterwards.", shape=shapes.Run)}
_NO_RUN: Final = {404: "There is no such run."}
_NO_SHOT: Final = {404: "There is no such run, or no such shot or take in it."}
_SEVERAL: Final = {409: "Several ids begin with what was given (ambiguous); candidates are the first of them."}
_NOT_NOW: Final = {409: "The state does not allow it, or somebody acted in the meantime; the message says which."}
_BAD_BODY: Final = {422: "The body is not a JSON object, or a field of it is wrong or unknown: param says which."}

OPERATIONS: Final[Mapping[str, Operation]] = {
    "POST /webhook/{token}": Operation(
        name="receiveCallback",
        about="The callback address of a take or a hook",
        more="Given to the provider as callback_url. What it says is a hint to look up the job, and is never believed.",
        right=None,
        body=CALLBACK_BODY,
        answers={
            200: RouteAnswer(
                about="It is kept; so is a repeat. A provider whose profile asks for another answer gets that one: its "
                "own word as text, or the value of its question under the same name.",
                shape=shapes.Received,
                kinds=("text/plain",),
            )
        },
        refusals={
            400: "The body is not JSON, or broke off.",
            401: "It does not prove where it comes from; it is held in quarantine.",
            404: "There is no such address.",
            429: "Too many, or too much, at this address; or too many to addresses that do not exist.",
        },
        takes_anything=True,
    ),
    "GET /webhook/{token}": Operation(
        name="lookAtCallbackAddress",
        about="Whether a callback address is one",
        more="For senders that look before they use an address. Nothing is kept.",
        right=None,
        answers={200: RouteAnswer(about="It is.", shape=shapes.Health)},
        refusals={
            404: "There is no such address.",
            429: "Too many at this address, or to addresses that do not exist.",
        },
        asks_redis=False,
        takes_anything=True,
    ),
    "POST /v1/runs": Operation(
        name="startRun",
        about="Start a run",
        right=Right.OPERATE,
        parameters=("Idempotency-Key", "Plan", "Max-Jobs"),
        body=BOARD,
        answers={
            201: RouteAnswer(
                about="The run; the same Idempotency-Key: the same run.", shape=shapes.Run, headers=("Location",)
            )
        },
        refusals={
            409: "The run that this Idempotency-Key made was removed; or, plan_changed, Plan is of another storyboard.",
            422: "The storyboard has mistakes, all of them in mistakes with their places; or a header is wrong.",
        },
    ),
    "POST /v1/plan": Operation(
        name="planRun",
        about="What a storyboard would do and cost",
        more="Nothing is spent or stored. The plan's id as Plan of POST /v1/runs starts exactly this storyboard.",
        right=Right.OPERATE,
        body=BOARD,
        answers={200: RouteAnswer(about="The plan.", shape=shapes.Plan)},
        refusals={422: "The storyboard has mistakes, all of them in mistakes with their places."},
        asks_redis=False,
    ),
    "GET /v1/runs": Operation(
        name="listRuns",
        about="Runs, newest first",
        right=Right.READ,
        parameters=("limit", "after", "status", "label", "q", "needs"),
        answers={200: RouteAnswer(about="A page of them.", shape=shapes.Runs)},
        refusals={404: "The run of after was removed.", 422: "A parameter is unknown, or its value is not allowed."},
    ),
    "GET /v1/runs/{run}": Operation(
        name="readRun",
        about="One run",
        right=Right.READ,
        answers={200: RouteAnswer(about="The run.", shape=shapes.Run)},
        refusals={**_NO_RUN, **_SEVERAL},
    ),
    "DELETE /v1/runs/{run}": Operation(
        name="removeRun",
        about="Remove a run that has ended, with its history and files",
        right=Right.OPERATE,
        body=NOTHING,
        answers={200: RouteAnswer(about="It is gone.", shape=shapes.Removed)},
        refusals={**_NO_RUN, **_NOT_NOW},
    ),
    "GET /v1/runs/{run}/events": Operation(
        name="watchRun",
        about="What happens to a run, as server-sent events",
        more="From the first on, or from behind Last-Event-ID (or after). Each event's data is an Event as JSON. The "
        "stream ends when the run has ended.",
        right=Right.READ,
        parameters=("Last-Event-ID", "after-event"),
        answers={
            200: RouteAnswer(about="The stream.", kinds=("text/event-stream",)),
            204: RouteAnswer(about="The run has ended, and you have all of it."),
        },
        refusals={**_NO_RUN, **_SEVERAL, 422: "Last-Event-ID, or after, is not an id of an event."},
    ),
    "POST /v1/runs/{run}/cancel": Operation(
        name="cancelRun",
        about="Submit nothing more",
        right=Right.OPERATE,
        body=_decision(),
        answers=_RUN,
        refusals={**_NO_RUN, **_NOT_NOW, **_BAD_BODY},
    ),
    "POST /v1/runs/{run}/resume": Operation(
        name="resumeRun",
        about="Go on with a run that failed or waits, once the cause is fixed",
        more="Nothing that was rendered is paid for again; submits_to_come says what it may cost. A budget takes the "
        "place of the run's, also where nothing else changes: the run goes on, or has succeeded.",
        right=Right.OPERATE,
        body=_decision({"budget": BUDGET}),
        answers=_RUN,
        refusals={**_NO_RUN, **_NOT_NOW, **_BAD_BODY},
    ),
    **AMEND_OPERATIONS,
    "POST /v1/runs/{run}/promote": Operation(
        name="promoteRun",
        about="Make the final of a draft",
        more="A run of its own, of the picked prompts and seeds; each shot begins with a frame of the final, never "
        "of the draft. Asked again for the same takes the answer is the same run. With dry_run: true it only says so.",
        right=Right.OPERATE,
        body=_decision({"budget": BUDGET, "dry_run": YES_NO}),
        answers={
            200: RouteAnswer(about="What it would do.", shape=shapes.Outlook),
            201: RouteAnswer(about="The final.", shape=shapes.Run, headers=("Location",)),
        },
        refusals={
            **_NO_RUN,
            409: "The run is not a draft, or not all its shots are done; or its final was removed.",
            422: "The body is wrong, a key is missing, or the money cannot be kept to.",
        },
    ),
    "POST /v1/runs/{run}/shots/{shot}/approve": Operation(
        name="approveShot",
        about="Let a gated shot be submitted, changed if need be",
        right=Right.OPERATE,
        body=_decision(CHANGE),
        answers=_RUN,
        refusals={**_NO_SHOT, **_NOT_NOW, **_BAD_BODY},
    ),
    "POST /v1/runs/{run}/shots/{shot}/pick": Operation(
        name="pickTake",
        about="Choose the take to go on from",
        right=Right.OPERATE,
        body=_decision({"take": {"type": "integer"}}, needs=("take",)),
        answers=_RUN,
        refusals={**_NO_SHOT, **_NOT_NOW, **_BAD_BODY},
    ),
    "POST /v1/runs/{run}/shots/{shot}/retake": Operation(
        name="retakeShot",
        about="Make a shot again, inside the budget",
        more="Later shots that are made from it stay as they are, stale. With following: true each is made again, too, "
        "as soon as its source's new take is there. With dry_run: true it only says so.",
        right=Right.OPERATE,
        body=_decision({**CHANGE, "following": YES_NO, "dry_run": YES_NO}),
        answers={
            200: RouteAnswer(
                about="The run as it is afterwards; or what it would do.", shape=shapes.Run, other=shapes.Outlook
            )
        },
        refusals={**_NO_SHOT, **_NOT_NOW, **_BAD_BODY},
    ),
    "POST /v1/jobs/adopt": Operation(
        name="adoptJob",
        about="Bring in a job that was paid for but lost",
        more="It is looked up, never submitted.",
        right=Right.OPERATE,
        body=_decision({"job_id": NAME, "run": NAME, "shot": NAME}, needs=("job_id", "run", "shot")),
        answers=_RUN,
        refusals={**_NO_SHOT, **_NOT_NOW, **_BAD_BODY},
    ),
    "GET /v1/callbacks": Operation(
        name="listCallbacks",
        about="Callbacks that came in, newest first, refused ones too",
        right=Right.READ,
        parameters=("limit", "after"),
        answers={200: RouteAnswer(about="A page of them.", shape=shapes.Callbacks)},
        refusals={422: "limit is not a number from 1 to 200, or a parameter is unknown."},
    ),
    "POST /v1/callbacks/{callback}/replay": Operation(
        name="replayCallback",
        about="Process a callback again",
        more="Without spend: true it only says what that would do.",
        right=Right.OPERATE,
        body=Body(
            kinds=("application/json",),
            schema=fields_schema({"spend": {"type": "boolean"}}),
            required=False,
        ),
        answers={200: RouteAnswer(about="What it would do, or did.", shape=shapes.Replay)},
        refusals={
            404: "There is no such callback, or it is no longer kept.",
            409: "It names nothing to ask about.",
            **_BAD_BODY,
        },
    ),
    "POST /v1/callbacks/{callback}/release": Operation(
        name="releaseCallback",
        about="Verify a callback in quarantine again, and process it",
        more="For after a wrong secret was corrected; secrets are read again first.",
        right=Right.OPERATE,
        body=NOTHING,
        answers={200: RouteAnswer(about="It is released.", shape=shapes.Release)},
        refusals={
            404: "There is no such callback, or it is no longer kept.",
            409: "It is not in quarantine, or still does not prove where it comes from.",
        },
    ),
    "POST /v1/callbacks/release": Operation(
        name="releaseCallbacks",
        about="Verify all callbacks in quarantine again",
        right=Right.OPERATE,
        body=NOTHING,
        answers={200: RouteAnswer(about="What became of each.", shape=shapes.Releases)},
        refusals={},
    ),
    "GET /v1/notifications": Operation(
        name="listNotifications",
        about="What was sent to the notify_url of runs, newest first, with each delivery",
        right=Right.READ,
        parameters=("limit", "after", "of-run"),
        answers={200: RouteAnswer(about="A page of them.", shape=shapes.Notifications)},
        refusals={**_SEVERAL, 422: "limit is not a number from 1 to 200, or a parameter is unknown."},
    ),
    "POST /v1/notifications/{notification}/replay": Operation(
        name="replayNotification",
        about="Send a notification again at once, under the same id",
        more="Whatever the result so far; what fails is tried for another day.",
        right=Right.OPERATE,
        body=NOTHING,
        answers={200: RouteAnswer(about="It is to be sent.", shape=shapes.Notification)},
        refusals={404: "There is no such notification, or it is no longer kept.", **_SEVERAL},
    ),
    "POST /v1/files": Operation(
        name="giveFile",
        about="Give a picture that a storyboard can name",
        more="The same bytes always get the same name.",
        right=Right.OPERATE,
        body=PICTURE,
        answers={201: RouteAnswer(about="It is kept.", shape=shapes.File)},
        refusals={422: "It is not a PNG, JPEG, WebP, GIF, BMP or TIFF picture."},
    ),
    "GET /media/{path}": Operation(
        name="readMedia",
        about="A clip, a frame, a film or a picture that was given",
        more="By key, session, or the expires and signature of a link that was signed for the provider.",
        right=Right.READ,
        parameters=("Range", "small", "expires", "signature"),
        answers={
            200: RouteAnswer(about="The file.", kinds=("video/mp4", "image/*"), headers=("Accept-Ranges",)),
            206: RouteAnswer(
                about="The part of it, or the parts, that Range asks for.",
                kinds=("video/mp4", "image/*", "multipart/byteranges"),
            ),
            307: RouteAnswer(
                about="It is in object storage: read it there, by Range as well, without our key.",
                headers=("Location",),
            ),
        },
        refusals={
            400: "Range cannot be read.",
            404: "There is no such file, or it is gone and cannot be made again.",
            416: "The file has no such part.",
        },
    ),
    "POST /login": Operation(
        name="logIn",
        about="Begin the page's session",
        right=None,
        body=LOGIN,
        answers={303: RouteAnswer(about="To the page, with the session.", headers=("Location", "Set-Cookie"))},
        refusals={
            401: "This receiver does not accept that key.",
            403: "It was not asked for by our own page (Origin, Sec-Fetch-Site).",
            429: "Too many wrong keys.",
        },
        asks_redis=False,
    ),
    "POST /v1/invitations": Operation(
        name="invite",
        about="A link that logs a browser in, once, within ten minutes",
        right=Right.OPERATE,
        body=NOTHING,
        answers={201: RouteAnswer(about="The link.", shape=shapes.Invitation)},
        refusals={**_BAD_BODY},
        asks_redis=False,
    ),
    "POST /logout": Operation(
        name="logOut",
        about="End the page's session",
        right=None,
        body=LOGOUT,
        answers={303: RouteAnswer(about="To the page, without the session.", headers=("Location", "Set-Cookie"))},
        refusals={403: "It was not asked for by our own page (Origin, Sec-Fetch-Site)."},
    ),
    "GET /livez": Operation(
        name="isAlive",
        about="The process runs",
        right=None,
        answers={200: RouteAnswer(about="It does.", shape=shapes.Health)},
        refusals={},
        asks_redis=False,
    ),
    "GET /readyz": Operation(
        name="isReady",
        about="It can keep what it is given",
        right=None,
        answers={
            200: RouteAnswer(about="It can.", shape=shapes.Health),
            503: RouteAnswer(about="Redis would keep nothing now.", shape=shapes.NotReady, headers=("Retry-After",)),
        },
        refusals={},
        asks_redis=False,
    ),
    "GET /metrics": Operation(
        name="readMetrics",
        about="Figures in Prometheus's text format",
        right=Right.READ,
        answers={200: RouteAnswer(about="What there is now.", kinds=("text/plain",))},
        refusals={},
        asks_redis=False,
    ),
    "GET /openapi.json": Operation(
        name="readOpenapi",
        about="This document",
        right=Right.READ,
        answers={200: RouteAnswer(about="OpenAPI 3.1.", kinds=("application/json",))},
        refusals={},
        asks_redis=False,
    ),
}
