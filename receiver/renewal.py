"""What a receiver replaces when keys are read again: its own keys, and the secrets of those that call back."""

import asyncio

import structlog
from starlette.datastructures import Secret

from framerelay.config.env_file import SettingInvalid
from framerelay.config.keys import Keys
from framerelay.config.logs import secrets_of
from framerelay.config.settings import Settings, environment
from framerelay.network.signing import signing_secrets
from framerelay.receiver.state import State
from framerelay.runs.errors import NotFound, StoryboardInvalid
from framerelay.store.processes import ask_to_read_again
from framerelay.upstream.providers import Providers
from framerelay.upstream.senders import read_senders
from framerelay.upstream.verifiers import Verifiers

log = structlog.get_logger()


async def read_again_everywhere(state: State) -> None:
    """Have this receiver, and soon the others and each worker, read their keys again. Raises: StoreUnavailable."""
    await ask_to_read_again(state.watch_redis)
    await state.live.read_again()


async def take_over(state: State, settings: Settings, keys: Keys) -> None:
    """Let *state* work with these from now on; a request under way ends as it began."""
    state.key_check.use(keys)
    verifiers, providers = await asyncio.to_thread(_callers_of, settings)
    state.providers = providers or state.providers
    if verifiers is not None and verifiers != state.verification.verifiers:
        state.verification.verifiers = verifiers
        log.info("verifiers_read_again")
    # Former ones stay among them: what was a secret is not shown later either.
    now = secrets_to_hide(settings, keys, state.verification.verifiers)
    state.secrets = tuple(sorted({*state.secrets, *now}, key=len, reverse=True))


def secrets_to_hide(settings: Settings, keys: Keys, verifiers: Verifiers) -> tuple[str, ...]:
    """The exact texts that no answer may show."""
    more = (*keys.operate, keys.secret, *signing_secrets(settings, keys.secret), *map(Secret, verifiers.secrets))
    return secrets_of(settings, *more)


def _callers_of(settings: Settings) -> tuple[Verifiers, Providers] | tuple[None, None]:
    try:
        return read_senders(settings, environment())
    except (SettingInvalid, NotFound, StoryboardInvalid) as error:
        log.warning("settings_not_taken_over", reason=str(error))
        return None, None
