"""
Connections to a Redis in cluster mode: all our keys are in one slot, so all connections go to the node that has it.

Any node says which one that is, by refusing what belongs elsewhere (``MOVED``). We ask before the first connection, and
again once the owner says that it has changed, or cannot be reached.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import Connection, SSLConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from framerelay.store.keys import PREFIX

NODE_S: Final = 1.0  # Without an answer, the next one is asked.
HOPS_MAX: Final = 5  # Two nodes that do not agree yet send us back and forth.
_MOVED: Final = "MOVED "

Node = tuple[str, int]
"""Host and port."""


class ClusterPool(BlockingConnectionPool):
    """Connections to the owner of our slot; *nodes* are asked which one it is, one after the other."""

    def __init__(
        self, nodes: Sequence[Node], *, connection_class: type[Connection] = Connection, **options: Any
    ) -> None:
        is_tls = issubclass(connection_class, SSLConnection)
        super().__init__(connection_class=OwnerSSLConnection if is_tls else OwnerConnection, **options)
        self._asking, self._asked_with = connection_class, _of_an_address(options)
        self.connection_kwargs["owners"] = self
        self._nodes = tuple(nodes)
        self._owner: Node | None = None

    async def owner(self) -> Node:
        """Which node has our slot, as far as is known. Raises: whatever the last node that was asked did."""
        if self._owner is None:
            self._owner = await self._find()
        return self._owner

    def forget(self, node: Node) -> None:
        """It is no longer *node*, or *node* cannot be reached."""
        if self._owner == node:
            self._owner = None

    async def _find(self) -> Node:
        trouble: Exception = RedisConnectionError("no node of the cluster has our slot")
        for node in self._nodes:
            try:
                return await self._follow(node)
            except (RedisError, OSError, TimeoutError) as error:
                trouble = error
        raise trouble

    async def _follow(self, node: Node) -> Node:
        for _ in range(HOPS_MAX):
            async with asyncio.timeout(NODE_S):
                other = await self._sent_to(node)
            if other is None:
                return node
            node = other
        raise RedisConnectionError("the nodes of the cluster do not agree who has our slot")

    async def _sent_to(self, node: Node) -> Node | None:
        """Where *node* says that our slot is; None if it has it."""
        connection = self._asking(host=node[0], port=node[1], **self._asked_with)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_command("EXISTS", PREFIX)
            await connection.read_response()
        except ResponseError as error:
            if not str(error).startswith(_MOVED):
                raise
            host, _, port = str(error).split()[2].rpartition(":")
            return host or node[0], int(port)
        finally:
            await connection.disconnect(nowait=True)
        return None


class OwnerConnection(Connection):
    """A connection to the owner of our slot, which *owners* knows; made again if the owner changes."""

    def __init__(self, *, owners: ClusterPool, **options: Any) -> None:
        super().__init__(**options)
        self._owners = owners

    async def _connect(self) -> None:
        self.host, self.port = node = await self._owners.owner()
        try:
            await super()._connect()  # type: ignore[no-untyped-call]
        except BaseException:
            self._owners.forget(node)
            raise

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        """Raises: ConnectionError if our slot has moved, so that the caller asks again."""
        try:
            return await super().read_response(*arguments, **options)
        except ResponseError as error:
            if not str(error).startswith(_MOVED):
                raise
            self._owners.forget((self.host, self.port))
            await self.disconnect(nowait=True)
            raise RedisConnectionError("another node of the cluster has our slot now") from error


class OwnerSSLConnection(OwnerConnection, SSLConnection):
    """The same with TLS."""


def _of_an_address(options: dict[str, Any]) -> dict[str, Any]:
    """Those of the *options* of a pool that are written in an address: credentials and TLS."""
    ours = ("max_connections", "timeout", "retry", "retry_on_error")
    return {name: value for name, value in options.items() if name not in ours}
