"""
The names that a request may use, in its query and in its body: any other is refused, with the nearest valid one.

Ignoring ``{"duration": 8}`` in a retake would spend money on something other than what was asked for. Names are checked
where routes are made (`receiver.access.api_route`, `receiver.page.rendering.page`), so new routes are covered, too.
"""

from codecs import BOM_UTF8
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, cast
from urllib.parse import parse_qs

from starlette.requests import Request

from framerelay.api.access import Names
from framerelay.api.parameters import PARAMETERS
from framerelay.receiver.door.body import read_body
from framerelay.runs.errors import RequestInvalid
from framerelay.storyboards.notation import excerpt
from framerelay.storyboards.parts import unknown
from framerelay.upstream.callback import parse_object

FORM_FIELDS_MAX: Final = 20
REPEATABLE: Final = frozenset(name for name, each in PARAMETERS.items() if each["schema"].get("type") == "array")


async def check(request: Request, names: Names) -> None:
    """
    Check *request* against *names*; a body that has fields is read here, and `fields_of` returns them.

    Raises: RequestInvalid with the name as its ``param``; HTTPException as `read_body`.
    """
    check_query(request, names.query)
    if names.fields is not None:
        fields = await (_read_form if names.as_form else _read_object)(request, names.bytes_max)
        check_names("field", fields, names.fields)
        request.state.fields = fields


def check_query(request: Request, parameters: Collection[str]) -> None:
    """Raises: RequestInvalid for a query parameter that is not among *parameters*, or given twice and no list."""
    if request.scope["query_string"]:
        names = [name for name, _ in request.query_params.multi_items()]
        check_names("parameter", names, parameters)
        for name in parameters:
            if name not in REPEATABLE and names.count(name) > 1:  # One of them would be ignored.
                raise RequestInvalid(f"{name} is in the query more than once: keep one of them", param=name)


def check_names(kind: str, names: Iterable[str], choices: Collection[str]) -> None:
    """Raises: RequestInvalid for the first of *names* that is not among *choices*; *kind*: what a name is called."""
    for name in names:
        if name not in choices:
            hint = "" if choices else f"; no {kind} is known here"
            raise RequestInvalid(unknown(name, choices, kind=kind) + hint, param=excerpt(name))


def fields_of(request: Request) -> dict[str, Any]:
    """The content of *request*'s body, once its names were checked; empty if nothing was sent."""
    return cast(dict[str, Any], request.state.fields)


async def _read_form(request: Request, bytes_max: int) -> Mapping[str, object]:
    """The last value counts if a name is given twice."""
    text = (await read_body(request, bytes_max=bytes_max)).decode("utf-8", "replace")
    try:
        values = parse_qs(text, keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX)
    except ValueError:
        raise RequestInvalid(f"the form has more than {FORM_FIELDS_MAX} fields") from None
    return {name: last for name, (*_, last) in values.items()}


async def _read_object(request: Request, bytes_max: int) -> Mapping[str, object]:
    raw = await read_body(request, bytes_max=bytes_max)
    return parse_object(raw) if raw.removeprefix(BOM_UTF8).strip() else {}
