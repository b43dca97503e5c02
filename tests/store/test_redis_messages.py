"""What redis-py says, as a sentence that tells a person what to do."""

import asyncio
from pathlib import Path

import pytest
from redis._parsers.base import BaseParser
from redis.exceptions import ConnectionError as RedisConnectionError

from framerelay.store.client import connect, disconnect
from framerelay.store.redis_messages import REDIS_ERRORS, redis_words, unavailable

SCRIPT = "ERR Error running script (call to f_1): @user_script:5: @user_script: 5: -"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("MISCONF Errors writing to the AOF file: No space left on device", "cannot write to its disk: free some"),
        (
            "MISCONF Redis is configured to save RDB snapshots, but it's unable to",
            "cannot write to its disk: free some",
        ),
        ("OOM command not allowed when used memory > 'maxmemory'.", "no memory left: raise its maxmemory"),
        (f"{SCRIPT}OOM command not allowed when used memory > 'maxmemory'.", "no memory left: raise its maxmemory"),
        ("READONLY You can't write against a read only replica.", "must name the one that writes"),
        ("NOAUTH Authentication required.", "wants a password: put it into FRAMERELAY_REDIS_URL"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "refuses the user or password"),
        ("NOPERM User worker has no permissions to run the 'set' command", "allow all commands on {framerelay}:*"),
        ("LOADING Redis is loading the dataset in memory", "still loading its data: wait"),
        ("NOSCRIPT No matching script.", "another one answers than before: what was under way is tried again"),
        ("ERR max number of clients reached", "raise its maxclients"),
        ("ERR something new", "Redis refuses: something new"),
    ],
)
def test_what_the_server_answers_tells_what_to_do(answer: str, words: str) -> None:
    """By way of the classes that redis-py makes of it; one line, whatever the server said."""
    words_said = redis_words(BaseParser.parse_error(answer))
    assert words in words_said
    assert "\n" not in words_said
    assert unavailable(BaseParser.parse_error(answer)).message == words_said


def test_an_error_while_connecting_is_not_called_unreachable() -> None:
    """redis-py wraps the server's refusal in an error of its own."""
    error = RedisConnectionError(BaseParser.parse_error("NOAUTH Authentication required."))

    assert "wants a password" in redis_words(error)


async def trouble_at(url: str, *, timeout_s: float = 10) -> str:
    redis = connect(url, timeout_s=timeout_s)
    try:
        await redis.ping()
    except REDIS_ERRORS as error:
        return redis_words(error)
    finally:
        await disconnect(redis)
    return "none"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://:s3cret@127.0.0.1:9/0", "connection refused"),
        ("redis://:s3cret@localhost:9/0", "connection refused"),
        ("redis://:s3cret@name.invalid:9/0", ""),
        ("unix:///nowhere/redis.sock", "no such file or directory"),
    ],
)
async def test_a_server_that_is_not_there_cannot_be_reached(url: str, reason: str) -> None:
    """The system's reason without its number, never the address with its password."""
    words_said = await trouble_at(url)
    assert words_said.startswith(f"Redis cannot be reached ({reason}")
    assert "FRAMERELAY_REDIS_URL is right" in words_said
    assert "Error" not in words_said
    assert "s3cret" not in words_said


@pytest.mark.anyio
async def test_a_server_that_is_silent_does_not_answer_in_time(tmp_path: Path) -> None:
    """A time-out has no words of its own."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(say_nothing, tmp_path / "s")
    async with server:
        assert (await trouble_at(f"unix://{tmp_path}/s", timeout_s=0.2)).startswith("Redis does not answer in time")
