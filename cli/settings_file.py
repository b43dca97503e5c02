"""What a command reads from `framerelay.yaml`: its providers, or its mistakes in one sentence each."""

from collections.abc import Iterator
from contextlib import contextmanager

from framerelay.cli.errors import CommandError
from framerelay.config.settings import Settings, environment
from framerelay.runs.errors import NotFound, StoryboardInvalid
from framerelay.upstream.providers import Providers, read_providers


@contextmanager
def mistakes_of(settings: Settings) -> Iterator[None]:
    """Mistakes in the settings file are reported with its name. Raises: CommandError with all of them."""
    try:
        yield
    except StoryboardInvalid as error:
        name = settings.config_file.name
        words = "\n".join(f"{name}, {mistake.within(name)}" for mistake in error.mistakes)
        raise CommandError(words, code="setting_invalid") from error


def providers_of(settings: Settings) -> Providers:
    """Raises: CommandError for a settings file with mistakes, or a FRAMERELAY_PROVIDER that names no provider."""
    with mistakes_of(settings):
        try:
            return read_providers(settings, environment())
        except NotFound as error:
            message = f"FRAMERELAY_PROVIDER: {error.message}"
            raise CommandError(message, code="setting_invalid", param="FRAMERELAY_PROVIDER") from error
