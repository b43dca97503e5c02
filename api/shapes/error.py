"""What is answered when something is wrong, and the word that nothing is."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType


class Mistake(Struct, kw_only=True):
    """One thing wrong in a storyboard."""

    place: Annotated[str, Meta(examples=["scenes[0].shots[2].from"])]
    line: int | None
    message: str


class Fault(Struct, kw_only=True):
    """What was wrong with a request."""

    code: Annotated[str, Meta(description="A stable word for programs.")]
    message: Annotated[str, Meta(description="For a person.")]
    param: Annotated[str | None, Meta(description="Where, if it has a place.")]
    mistakes: Annotated[list[Mistake] | UnsetType, Meta(description="All of a storyboard's.")] = UNSET
    candidates: Annotated[
        list[str] | UnsetType, Meta(description="For an ambiguous id: the first of those that it may be.")
    ] = UNSET


class Error(Struct, kw_only=True):
    """The envelope of every error."""

    error: Fault


class NotReady(Struct, kw_only=True):
    """What becomes of callbacks while Redis keeps nothing, and why it does not."""

    status: Annotated[Literal["degraded", "refused"], Meta(description="degraded: they are kept in the spool.")]
    error: Fault


class Health(Struct, kw_only=True):
    """All is well."""

    status: str
