"""``GET /static/{file}``: style and scripts of the page, for everybody; their address changes with their content."""

import hashlib
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from framerelay.receiver.fields import check_query

_KINDS: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


async def serve(request: Request) -> Response:
    """The file; under its current address it may be cached forever. Raises: HTTPException 404; RequestInvalid."""
    check_query(request, ("v",))
    name = request.path_params["file"]
    content = _files().get(name)
    if content is None:
        raise HTTPException(404)
    fresh = request.query_params.get("v") == _digest(content)
    keep = "public, max-age=31536000, immutable" if fresh else "no-cache"
    return Response(content, media_type=_KINDS[name[name.rindex(".") :]], headers={"Cache-Control": keep})


def address_of(name: str) -> str:
    """Where a page finds the file *name*."""
    return f"/static/{name}?v={_digest(_files()[name])}"


@cache
def _files() -> dict[str, bytes]:
    """All files, by name: nothing in a request becomes a path."""
    return dict(_below(resources.files("framerelay.receiver.page") / "static", ""))


def _below(folder: Traversable, before: str) -> list[tuple[str, bytes]]:
    files = []
    for each in folder.iterdir():
        if each.is_dir():
            files += _below(each, f"{before}{each.name}/")
        elif each.name.endswith(tuple(_KINDS)):
            files.append((before + each.name, each.read_bytes()))
    return files


@cache
def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
