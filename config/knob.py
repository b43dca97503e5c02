"""One setting: its variable, unit, default and reason, as `config.settings` lists them and the docs print them."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from framerelay.config.parse import as_secret, as_secrets, as_signing_secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Knob:
    """What ``docs/settings.md`` says about one setting."""

    variable: str
    unit: str
    about: str
    parse: Callable[[str], object]
    secret: bool
    live: bool


def knob(
    variable: str, parse: Callable[[str], object], default: object, about: str, *, unit: str = "", live: bool = False
) -> Any:
    """
    One field of `config.settings.Settings`; *about* is the line that the docs carry.

    *live*: a process that runs can read it again.
    """
    secret = parse in (as_secret, as_secrets, as_signing_secrets)
    return dataclasses.field(
        default=default,
        metadata={"knob": Knob(variable=variable, unit=unit, about=about, parse=parse, secret=secret, live=live)},
    )
