"""What a Redis must be able to do for us, checked at startup, so that others are refused with the reason."""

from typing import Any, Final

from redis.exceptions import ResponseError

from framerelay.config.settings import Settings
from framerelay.runs.errors import Permanent
from framerelay.store.client import RelayRedis
from framerelay.store.cluster import ClusterPool
from framerelay.store.copies import Copies

OLDEST: Final = 7  # The major version; Valkey reports the Redis version that it matches.
CLUSTER: Final = (
    "this Redis is a cluster: its address is redis+cluster://HOST:PORT,HOST:PORT (rediss+cluster:// with TLS), with "
    "some of its nodes"
)
SENTINEL: Final = "this is a Sentinel: its address is redis+sentinel://HOST:PORT/NAME, with the NAME that it watches"
REPLICAS: Final = (
    "FRAMERELAY_REDIS_COPIES needs the command WAIT, which this Redis refuses ({reason}): "
    "allow it, or remove the setting"
)
DISKS: Final = (
    "FRAMERELAY_REDIS_COPIES_ON_DISK needs the command WAITAOF, which this Redis refuses ({reason}): "
    "use Redis 7.2 or later, or Valkey, and allow it, or remove the setting"
)
NONE: Final = (
    "FRAMERELAY_REDIS_COPIES_ON_DISK: no copies are asked for: set FRAMERELAY_REDIS_COPIES to their number, or leave "
    "the other unset"
)
ALONE: Final = (
    "FRAMERELAY_REDIS_COPIES: FrameRelay's own Redis has no copies: set FRAMERELAY_REDIS_URL to one that has replicas, "
    "or leave the other unset"
)


class RedisUnsupported(Permanent):
    """This Redis cannot do what we need."""

    code = "redis_unsupported"


def check_copies(settings: Settings) -> None:
    """Whether there can be replicas at all. Raises: RedisUnsupported."""
    if settings.redis_copies_on_disk == "yes" and not settings.redis_copies:
        raise RedisUnsupported(NONE)
    if settings.redis_copies and settings.redis_url is None:
        raise RedisUnsupported(ALONE)


async def check_support(redis: RelayRedis, *, copies: Copies) -> None:
    """
    Ask a server what it is; if it does not say, as with managed services, it is trusted.

    *copies*: those that are to be waited for. Raises: RedisUnsupported; as the client.
    """
    facts = {**await _info(redis, "server"), **await _info(redis, "cluster")}
    mode = facts.get("redis_mode", facts.get("server_mode"))
    is_cluster = mode == "cluster" or str(facts.get("cluster_enabled", 0)) != "0"
    if is_cluster and not isinstance(redis.connection_pool, ClusterPool):
        raise RedisUnsupported(CLUSTER)
    if mode == "sentinel":
        raise RedisUnsupported(SENTINEL)
    version = str(facts.get("redis_version", OLDEST))
    major = version.partition(".")[0]
    if major.isdigit() and int(major) < OLDEST:
        raise RedisUnsupported(f"this Redis is version {version}: use {OLDEST} or later, or Valkey")
    if copies.number:
        await _check_command(redis, "WAIT", 0, 1, words=REPLICAS)
    if copies.on_disk:
        await _check_command(redis, "WAITAOF", 0, 0, 1, words=DISKS)


async def _info(redis: RelayRedis, section: str) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = await redis.info(section)
    except ResponseError:
        return {}
    return facts


async def _check_command(redis: RelayRedis, *command: str | int, words: str) -> None:
    try:
        await redis.execute_command(*command)
    except ResponseError as error:
        raise RedisUnsupported(words.format(reason=error)) from error
