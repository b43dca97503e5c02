"""How long a provider takes to answer, by call and outcome."""

from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from framerelay.config.metrics import PROVIDER
from framerelay.upstream.profile import Profile

P = ParamSpec("P")
T = TypeVar("T")


class HasProfile(Protocol):
    """A client of the provider that *profile* describes."""

    profile: Profile


C = TypeVar("C", bound=HasProfile)
Method = Callable[Concatenate[C, P], Awaitable[T]]


def time_call(call: str) -> Callable[[Method[C, P, T]], Callable[Concatenate[C, P], Coroutine[Any, Any, T]]]:
    """A method of a client that asks its provider; *call*: for what."""

    def around(method: Method[C, P, T]) -> Callable[Concatenate[C, P], Coroutine[Any, Any, T]]:
        @wraps(method)
        async def run(client: C, /, *arguments: P.args, **keywords: P.kwargs) -> T:
            with PROVIDER.time(client.profile.id, call):
                return await method(client, *arguments, **keywords)

        return run

    return around
