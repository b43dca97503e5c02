"""One setting: its variable, unit, default and reason, as `config.settings` lists them and the docs print them."""

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.config import Config

from framerelay.config.env_file import SettingInvalid
from framerelay.config.parse import as_secret, as_secrets, as_signing_secrets
from framerelay.config.text import read_text, trim


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingSpec:
    """What ``docs/settings.md`` says about one setting."""

    variable: str
    unit: str
    about: str
    parse: Callable[[str], object]
    secret: bool
    live: bool


def setting(
    variable: str, parse: Callable[[str], object], default: object, about: str, *, unit: str = "", live: bool = False
) -> Any:
    """
    One field of `config.settings.Settings`; *about* is the line in the docs.

    *live*: a running process can read it again.
    """
    secret = parse in (as_secret, as_secrets, as_signing_secrets)
    return dataclasses.field(
        default=default,
        metadata={
            "spec": SettingSpec(variable=variable, unit=unit, about=about, parse=parse, secret=secret, live=live)
        },
    )


def text_of(config: Config, entry: SettingSpec) -> str:
    """The value set for *entry*, or the content of the file named for it; empty if neither. Raises: SettingInvalid."""
    text = trim(config(entry.variable, default=""))
    if text or not entry.secret:
        return text
    path = trim(config(entry.variable + "_FILE", default=""))
    if not path:
        return ""
    try:
        secret = trim(read_text(Path(path)))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise SettingInvalid(f"{entry.variable}_FILE: cannot read {path}: {reason.lower()}") from None
    if not secret:
        raise SettingInvalid(f"{entry.variable}_FILE: {path} is empty")
    return secret


def value_of(entry: SettingSpec, text: str) -> object:
    """The value of *text*. Raises: SettingInvalid, which repeats no secret."""
    try:
        return entry.parse(text)
    except ValueError as error:
        public = re.sub(r"[^/\s]*@", "[user]@", text)  # Even a misspelled address may contain a password.
        value = "" if entry.secret else f" = {public!r}"
        reason = str(error) if str(error).startswith("it must") else "it must be a number"
        raise SettingInvalid(f"{entry.variable}{value}: {reason}") from None
