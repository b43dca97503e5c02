"""``GET /openapi.json``: every route, with its parameters and answers, as OpenAPI 3.1."""

import re
from functools import cache
from importlib.metadata import version
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from framerelay.api.access import COOKIE, Right
from framerelay.api.operation import Operation, RouteAnswer
from framerelay.api.operations import OPERATIONS
from framerelay.api.parameters import PARAMETERS
from framerelay.api.shapes import SHAPES
from framerelay.api.storyboard_schema import STORYBOARD_SCHEMAS, Schema

REF: Final = "#/components/schemas/{name}"
ABOUT: Final = """\
The callback_url of a video-generation API: keeps each clip, hands its last frame to the next shot, joins the film.

Errors are one envelope, `Error`; its code is for programs, its message for people. More fields may be added to any \
answer. Each GET answers HEAD, too; other methods are 405, other paths 404. Any answer may be 500, which is a bug of \
ours. A key that may only read opens each GET."""

BEGINNING: Final = (
    "or its beginning with at least four signs behind the _, while no other begins so; last is the newest"
)
IN_PATHS: Final[dict[str, Schema]] = {
    "token": {"description": "Names the take or hook; nobody can guess it.", "schema": {"type": "string"}},
    "run": {
        "description": f"Its id; {BEGINNING}.",
        "schema": {"type": "string", "pattern": "^(run_[a-z0-9]{1,40}|last)$"},
    },
    "shot": {
        "description": "Its id, or at least four characters of its beginning, while no other shot's begins the same.",
        "schema": {"type": "string"},
    },
    "callback": {"description": f"Its id; {BEGINNING}.", "schema": {"type": "string"}},
    "notification": {"description": f"Its id; {BEGINNING}.", "schema": {"type": "string"}},
    "path": {"description": "As a url of a run says it; it may hold slashes.", "schema": {"type": "string"}},
}
HEADERS: Final[dict[str, Schema]] = {
    "Location": {"description": "Where it is.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string", "pattern": "^[0-9]+$"}},
    "Set-Cookie": {"description": f"The cookie {COOKIE}: HttpOnly, SameSite=Strict.", "schema": {"type": "string"}},
    "WWW-Authenticate": {"schema": {"type": "string"}},
    "Accept-Ranges": {"schema": {"type": "string"}},
    "Content-Range": {"schema": {"type": "string"}},
}
NEEDED: Final = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}


async def serve(_: Request) -> Response:
    """The document; it contains no secrets, but a client that may not read does not learn what exists."""
    return Response(_encoded_document(), media_type="application/json")


@cache
def _encoded_document() -> bytes:
    return msgspec.json.encode(document())


def document() -> dict[str, Any]:
    """The whole document, as plain values."""
    paths: dict[str, dict[str, Any]] = {}
    for place, operation in OPERATIONS.items():
        method, path = place.split()
        paths.setdefault(path, {})[method.lower()] = _operation(path, operation)
    _, components = msgspec.json.schema_components(SHAPES, ref_template=REF)
    return {
        "openapi": "3.1.0",
        "info": {"title": "FrameRelay", "version": version("framerelay"), "description": ABOUT},
        "paths": paths,
        "components": {
            "schemas": {**components, **STORYBOARD_SCHEMAS},
            "headers": HEADERS,
            "parameters": {key: {"name": key, **parameter} for key, parameter in PARAMETERS.items()},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "FRAMERELAY_API_KEY or _READ_KEY."},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": COOKIE,
                    "description": "From POST /login; changes must come from our own page.",
                },
            },
        },
    }


def _operation(path: str, operation: Operation) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", path)
    parameters = [{"name": name, "in": "path", "required": True, **IN_PATHS[name]} for name in names]
    parameters += [{"$ref": f"#/components/parameters/{key}"} for key in operation.parameters]
    entry: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.about,
        "security": [{"key": []}, {"session": []}] if operation.right else [],
        "parameters": parameters,
        "responses": {str(status): answer for status, answer in sorted(_responses(operation).items())},
    }
    if operation.more:
        entry["description"] = operation.more
    if operation.body:
        content = {kind: {"schema": operation.body.schema} for kind in operation.body.kinds}
        entry["requestBody"] = {"required": operation.body.required, "content": content}
    return entry


def _responses(operation: Operation) -> dict[int, dict[str, Any]]:
    refusals = {**_connection_refusals(operation), **operation.refusals}
    return {
        **{status: _response(answer) for status, answer in operation.answers.items()},
        **{status: _error(status, words) for status, words in refusals.items()},
    }


def _connection_refusals(operation: Operation) -> dict[int, str]:
    """Errors that follow from the kind of route; its own errors take precedence over them."""
    refusals = {
        408: "The request came too slowly.",
        431: "Its head is too large.",
        500: "A bug of ours; the log has the details.",
    }
    if operation.right:
        refusals |= {401: "No key, or a wrong one.", 429: "Too many wrong keys, or requests without one."}
    if operation.right is Right.OPERATE:
        refusals |= {403: "The key may only read, or another site asked for it in a session of ours."}
    if operation.body:
        refusals |= {413: "The body is too large.", 415: "The body has a Content-Encoding."}
    if operation.asks_redis:
        refusals |= {503: "Redis or our disk failed; nothing was kept. The same may succeed soon."}
    if not operation.takes_anything:
        refusals |= {422: "It names something that is unknown here: param says what."}
    return refusals


def _response(answer: RouteAnswer) -> dict[str, Any]:
    response: dict[str, Any] = {"description": answer.about}
    schemas = [{"$ref": REF.format(name=shape.__name__)} for shape in (answer.shape, answer.other) if shape]
    content: dict[str, Any] = {kind: {} for kind in answer.kinds}
    if schemas:
        content["application/json"] = {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}
    if content:
        response["content"] = content
    return {**response, **_headers(answer.headers)}


def _error(status: int, words: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": REF.format(name="Error")}}}
    return {"description": words, "content": content, **_headers(NEEDED.get(status, ()))}


def _headers(names: tuple[str, ...]) -> dict[str, Any]:
    return {"headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names}} if names else {}
