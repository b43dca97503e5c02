"""
Settings as marks that can be compared: two processes see whether theirs are the same, without seeing the values.

A mark is a MAC under a key derived from ``FRAMERELAY_SECRET``. A plain hash could be compared with those of all keys
that were ever leaked; this one is useless to somebody who has only read it.
"""

import hashlib
import hmac
import os
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import Secret

from framerelay.config.live import str_of
from framerelay.config.settings import Settings, setting_specs

SECRET: Final = "FRAMERELAY_SECRET"  # noqa: S105  (its name)
# Where processes listen, how they speak and log, and how much they do at once may differ.
OWN: Final = frozenset(
    f"FRAMERELAY_{name}"
    for name in ("HOST", "PORT", "URL", "LANG", "LOG_FORMAT", "LOG_LEVEL", "TASKS_MAX", "CONNECTIONS_MAX")
)
SIGNS: Final = 16


def marks_of(settings: Settings, secret: Secret) -> dict[str, str]:
    """A mark for each setting that processes must share, by its variable; *secret* is that of `Keys`."""
    key = hmac.digest(str(secret).encode(), b"framerelay marks of settings v1", hashlib.sha256)

    def mark(variable: str, text: str) -> str:
        return hmac.new(key, f"{variable}\0{text}".encode(), hashlib.sha256).hexdigest()[:SIGNS]

    marks = {
        spec.variable: mark(spec.variable, str_of(getattr(settings, field)))
        for field, spec, _ in setting_specs()
        if spec.variable not in OWN
    }
    return {**marks, SECRET: mark(SECRET, "")}  # Given, or created and kept in a file: only the key distinguishes it.


def fixed_variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """The variables from the environment itself: a process keeps these until it ends."""
    environ = os.environ if environ is None else environ
    return [spec.variable for _, spec, _ in setting_specs() if environ.get(spec.variable, "").strip()]
