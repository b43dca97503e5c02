"""``.env``: a file of settings that complements the environment."""

import re
from pathlib import Path

from framerelay.config.text import read_text, trim


class SettingInvalid(Exception):
    """A setting has a value that cannot be used; the message names the variable."""


def values_of(env_file: Path) -> dict[str, str]:
    return {name: value for _, name, value in lines_of(env_file) if value is not None}


def lines_of(env_file: Path) -> list[tuple[int, str, str | None]]:
    """Number, name and value of each line that is not blank or a comment; without a value if there is no ``=``."""
    try:
        text = read_text(env_file) if env_file.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise SettingInvalid(f"cannot read {env_file}: {reason.lower()}") from None
    lines: list[tuple[int, str, str | None]] = []
    for number, line in enumerate(map(trim, re.split(r"\r\n|\r|\n", text)), start=1):
        if line and not line.startswith("#"):
            name, equals, value = line.partition("=")
            name = trim(trim(name).removeprefix("export "))
            lines.append((number, name, trim(value).strip("\"'") if equals else None))
    return lines
