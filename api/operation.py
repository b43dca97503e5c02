"""The description of one route: its parameters, its answers, and who may ask."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from msgspec import Struct

from framerelay.api.access import Names, Right
from framerelay.api.parameters import PARAMETERS
from framerelay.api.storyboard_schema import Schema

FORM: Final = ("application/x-www-form-urlencoded",)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteAnswer:
    """One answer that is not an error. *shape*, or *other*: of its JSON; *kinds*: its content types otherwise."""

    about: str
    shape: type[Struct] | None = None
    other: type[Struct] | None = None
    kinds: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What is sent. *kinds*: its content types, all of the same *schema*."""

    kinds: tuple[str, ...]
    schema: Schema
    required: bool = True


BOARD: Final = Body(kinds=("application/json", "application/yaml"), schema={"$ref": "#/components/schemas/Storyboard"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """
    One method of one path.

    *right*: what its key must give access to; None if it needs no key. *refusals*: errors by status, besides those
    caused by its key, its body, unknown names and Redis. *asks_redis*: whether it is 503 without Redis.
    *takes_anything*: names in its query and body are not checked, since others choose them.
    """

    name: str
    about: str
    answers: Mapping[int, RouteAnswer]
    right: Right | None
    refusals: Mapping[int, str]
    more: str = ""
    parameters: tuple[str, ...] = ()
    body: Body | None = None
    asks_redis: bool = True
    takes_anything: bool = False

    @property
    def names(self) -> Names:
        """The names allowed in its query and its body."""
        parameters = ((key, PARAMETERS[key]) for key in self.parameters)
        query = tuple(parameter.get("name", key) for key, parameter in parameters if parameter["in"] == "query")
        if self.body is None or self.body.schema.get("additionalProperties", True):
            return Names(query=query)
        return Names(query=query, fields=tuple(self.body.schema["properties"]), as_form=self.body.kinds == FORM)
