"""All that a Redis holds, as one text to search in."""

from typing import Any


async def everything_in(redis: Any) -> str:
    """Every key with its value, of whatever type."""
    entries = []
    async for key in redis.scan_iter(count=1000):
        match (await redis.type(key)).decode():
            case "string":
                value = await redis.get(key)
            case "hash":
                value = await redis.hgetall(key)
            case "list":
                value = await redis.lrange(key, 0, -1)
            case "set":
                value = await redis.smembers(key)
            case "zset":
                value = await redis.zrange(key, 0, -1, withscores=True)
            case "stream":
                value = await redis.xrange(key)
            case "none":  # Its time has come since it was listed.
                continue
            case other:
                raise AssertionError(f"nobody looks into a {other}: {key!r}")
        entries.append(f"{key!r} {value!r}")
    return "\n".join(entries)
