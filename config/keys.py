"""The API key and the signing secret: given in the settings, or made once and kept under the data folder."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Secret

from config.settings import SettingInvalid, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What opens ``/v1`` and what signs our addresses; ``new_api_key`` is set on the start that made it."""

    api_key: Secret
    secret: Secret
    new_api_key: bool


def load_keys(settings: Settings) -> Keys:
    """
    The keys of this installation; what the settings leave out is made on the first call and found on later ones.

    Raises: SettingInvalid for a kept file that holds no key; OSError when the data folder cannot be written.
    """
    api_key, new = (settings.api_key, False) if settings.api_key else _kept(settings.data_dir / "api_key", "fr_")
    secret, _ = (settings.secret, False) if settings.secret else _kept(settings.data_dir / "secret", "fr_")
    return Keys(api_key=api_key, secret=secret, new_api_key=new)


def find_api_key(settings: Settings) -> Secret | None:
    """The API key if there is one already; nothing is made (for the command, which only talks to a receiver)."""
    if settings.api_key:
        return settings.api_key
    path = settings.data_dir / "api_key"
    return _read(path) if path.exists() else None


def find_secret(settings: Settings) -> Secret | None:
    """The signing secret if there is one already; nothing is made (for `doctor`, which leaves nothing behind)."""
    if settings.secret:
        return settings.secret
    path = settings.data_dir / "secret"
    return _read(path) if path.exists() else None


def _kept(path: Path, prefix: str) -> tuple[Secret, bool]:
    """Two processes that start at once must end with the same key: the file appears whole, by a link, and only once."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    if not path.exists():
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(prefix + secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
            return _read(path), True
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return _read(path), False


def _read(path: Path) -> Secret:
    """An empty key would be one that everybody has."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except UnicodeDecodeError:
        text = ""
    if not text:
        raise SettingInvalid(f"{path} holds no key: remove it, and the next start makes a new one")
    return Secret(text)
