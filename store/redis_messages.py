"""redis-py's errors, as one sentence for the person who can fix them; every message about Redis is made here."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from framerelay.runs.errors import StoreUnavailable

REDIS_ERRORS: Final = (RedisError, OSError, TimeoutError)  # redis-py lets a refused connection through as OSError.
_ON_ITS_WAY: Final = (
    "the slot of our keys is being moved to another node, key by key: end all receivers and workers until it is there"
)
_WORDS: Final = {
    "MISCONF": "Redis cannot write to its disk: free some space there; its log says more",
    "OOM": "Redis has no memory left: raise its maxmemory",
    "READONLY": "this Redis is a copy that only reads: FRAMERELAY_REDIS_URL must name the one that writes",
    "NOAUTH": "Redis wants a password: put it into FRAMERELAY_REDIS_URL, as in redis://:PASSWORD@HOST",
    "WRONGPASS": "Redis refuses the user or password in FRAMERELAY_REDIS_URL: correct them",
    "NOPERM": "Redis forbids its user something that we need: allow all commands on {framerelay}:*, framerelay:* and "
    "arq:*, but @admin and @dangerous",
    "MOVED": "this Redis is a cluster: write its address as redis+cluster://HOST:PORT,HOST:PORT",
    "CLUSTERDOWN": "the cluster has no server now for the slot of our keys: see that its nodes run and know each other",
    "ASK": _ON_ITS_WAY,
    "TRYAGAIN": _ON_ITS_WAY,
    "LOADING": "Redis is still loading its data: wait until it has done so",
    # A script is loaded and called at once; it is only missing again if the server was replaced in between.
    "NOSCRIPT": "Redis was restarted, or another one answers than before: what was under way is tried again; if it "
    "goes on so, its log says why it ends, and FRAMERELAY_REDIS_URL must lead to one server only",
}
_CLIENTS: Final = "Redis takes no more connections: raise its maxclients, or end programs that hold some"
_NO_PRIMARY: Final = (
    "the sentinels in FRAMERELAY_REDIS_URL know no primary of that name that answers: see that they run, and that name "
    "and addresses are right (rediss+sentinel:// where they speak TLS)"
)
_SENTINEL_AUTH: Final = "a sentinel refuses us: put its password after the address, as in /NAME?sentinel_password=…"
_TLS: Final = {
    "CERTIFICATE_VERIFY_FAILED": "Redis shows a certificate that is not accepted ({reason}): name the file of its "
    "authority in FRAMERELAY_CA_FILE, and the host in FRAMERELAY_REDIS_URL as the certificate does",
    "WRONG_VERSION_NUMBER": "Redis does not speak TLS at that port: rediss:// needs one that does",
}
_SLOW: Final = "Redis does not answer in time: it hangs, its disk is slow, or the network is cut"
# redis-py removes these codes from the text and turns them into classes.
_CODES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (OutOfMemoryError, "OOM"),
    (ReadOnlyError, "READONLY"),
    (BusyLoadingError, "LOADING"),
    (NoScriptError, "NOSCRIPT"),
    (NoPermissionError, "NOPERM"),
)
# Older servers prefix a script's error with words of their own.
_CODE: Final = re.compile(rf"\b({'|'.join(_WORDS)})\b")
_NUMBER: Final = re.compile(r"\[Errno (\d+)\]|^Error (\d+) connecting")  # asyncio's (per address), or redis-py's.
_OF_TLS: Final = re.compile(r"\[SSL: (\w+)\] (?:certificate verify failed: )?(.*?)\.?(?: \(_ssl|$)")
_PLACE: Final = re.compile(r"^Error -?\d+ connecting to \S+\.? ")


def redis_words(error: BaseException) -> str:
    """What happened and what to do about it, without a period; for any of `store.client.REDIS_ERRORS`."""
    error = _inner(error)
    message = " ".join(str(error).split())
    if tls := _OF_TLS.search(message):  # Also if sentinels cannot be reached because of it: redis-py quotes the reason.
        words = _TLS.get(tls[1], "Redis cannot be reached by TLS ({reason}): see that rediss:// is right")
        return words.format(reason=tls[2].lower())
    if isinstance(error, MasterNotFoundError):
        return _SENTINEL_AUTH if "Authentication" in message or "WRONGPASS" in message else _NO_PRIMARY
    if code := _code_of(error, message):
        return _WORDS[code]
    if "max number of clients" in message:
        return _CLIENTS
    # redis-py's pool has no free connection when all of them wait for an answer.
    if isinstance(error, TimeoutError | RedisTimeoutError) or message.startswith("No connection available"):
        return _SLOW
    if isinstance(error, OSError | RedisConnectionError):
        reason = _reason(error, message)
        return f"Redis cannot be reached ({reason}): see that it runs and that FRAMERELAY_REDIS_URL is right"
    return f"Redis refuses: {message or type(error).__name__}"


@contextmanager
def redis_answers() -> Iterator[None]:
    """Turns failures of Redis commands in the block into StoreUnavailable, in words."""
    try:
        yield
    except REDIS_ERRORS as error:
        raise unavailable(error) from error


def unavailable(error: BaseException) -> StoreUnavailable:
    """The same as one of our errors."""
    return StoreUnavailable(redis_words(error))


def _inner(error: BaseException) -> BaseException:
    """What the server said while a connection was made, from inside the error that redis-py wraps around it."""
    inner = error.args[0] if error.args else None
    return inner if isinstance(inner, RedisError) else error


def _reason(error: BaseException, message: str) -> str:
    """The system's words for it, without numbers and addresses."""
    if number := _NUMBER.search(message):
        return os.strerror(int(number[1] or number[2])).lower()
    return _PLACE.sub("", message).rstrip(".").lower() or type(error).__name__


def _code_of(error: BaseException, message: str) -> str | None:
    """The first word of the server's answer, if we have a message for it."""
    if isinstance(error, AuthenticationError):
        return "NOAUTH" if "required" in message.lower() else "WRONGPASS"
    code = next((code for kind, code in _CODES if isinstance(error, kind)), None)
    match = _CODE.search(message)
    return code or (match[1] if match else None)
