"""Names in the environment and in .env that are almost ours."""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from framerelay.config.env_file import lines_of
from framerelay.config.settings import setting_specs
from framerelay.config.text import trim


def misspellings(environ: Mapping[str, str] | None = None, *, env_file: Path | None = None) -> list[str]:
    """Sentences about variables that look like ours and are not: a typo must not be silently ignored."""
    file = env_file or Path(".env")
    variables = {spec.variable for _, spec, _ in setting_specs()}
    variables |= {spec.variable + "_FILE" for _, spec, _ in setting_specs() if spec.secret}
    lines = lines_of(file)
    names = {name for name in (os.environ if environ is None else environ) if _is_meant_for_us(name)}
    names |= {
        name for _, name, value in lines if value is not None and (_is_meant_for_us(name) or _near(name, variables))
    }
    return [
        *(
            f"{trim(name)} is not a FrameRelay setting{_hint(name, variables)}; it has no effect"
            for name in sorted(names - variables)
        ),
        *(
            f"{file}, line {number}: there is no = in it, so it has no effect"
            for number, words, value in lines
            if value is None and _is_meant_for_us(words)
        ),
    ]


def _is_meant_for_us(name: str) -> bool:
    """Whatever its case, and whatever an editor put in front of it."""
    return re.sub(r"[^a-z]", "", name.lower()).startswith("framerelay")


def _near(name: str, variables: set[str], *, cutoff: float = 0.85) -> list[str]:
    return difflib.get_close_matches(trim(name).upper(), variables, n=1, cutoff=cutoff)


def _hint(name: str, variables: set[str]) -> str:
    if trim(name) in variables:
        return ": signs that nobody sees are around its name"
    near = _near(name, variables, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""
