"""The keys of the data folder; the start that creates them says so."""

from framerelay.cli.errors import CommandError, folder_words
from framerelay.cli.output import echo
from framerelay.config.keys import Keys, load_keys
from framerelay.config.settings import Settings


def keys_of(settings: Settings) -> Keys:
    """The keys of these settings; a new API key is printed, only this once. Raises: CommandError."""
    try:
        keys = load_keys(settings)
    except OSError as error:
        raise CommandError(
            f"FRAMERELAY_DATA_DIR: cannot keep anything in {settings.data_dir}: {folder_words(error)}"
        ) from None
    if keys.new_api_key:
        echo(f"API key (kept in {settings.data_dir / 'api_key'}): {keys.api_key}", err=True)
    return keys


def invitation(settings: Settings, keys: Keys) -> str:
    """The page's address with a login that works once: nobody should have to type a key that was made for them."""
    from framerelay.receiver.door.sessions import Sessions

    return f"{settings.listen_url}/login?once={Sessions(str(keys.secret), secure=False).invite()}"
