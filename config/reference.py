"""`docs/settings.md`, written from the settings themselves: `make docs`."""

from pathlib import Path
from typing import Final

from framerelay.config.setting_spec import SettingSpec
from framerelay.config.settings import setting_specs

HEAD: Final = """# Settings

Read at the start, from the environment and from a `.env` file in the working directory (the environment wins). A
secret can be read from a file instead: `FRAMERELAY_UPSTREAM_KEY_FILE=/run/secrets/key`. A value that cannot be used
stops the program with the variable's name; a variable that looks like ours and is not is named in a warning, as is a
line of `.env` that has no `=`. Files are UTF-8, with or without a byte order mark.

Those with a ↻ can be read again while the program runs: `framerelay resume` (or *Resume* on the page) has every
receiver and worker do so, SIGHUP (`kill -HUP PID`) that process. The secrets that [`verify`](verification.md) names
are read again, too, and so are the [providers](providers.md) of `framerelay.yaml` with their keys. A variable of the
environment itself stays with a process until it ends. What cannot be used leaves what was there, and the log says why
(`settings_not_read_again`). All others need a new start, as do the hooks of `framerelay.yaml`.

This page is written by `make docs` from `config/settings.py`.

| variable | default | what it does |
|---|---|---|
"""


def settings_page() -> str:
    """The whole page."""
    return HEAD + "".join(f"{_line(spec, default)}\n" for _, spec, default in setting_specs())


def _line(spec: SettingSpec, default: object) -> str:
    return (
        f"| `{spec.variable}`{' ↻' if spec.live else ''} | {_words(spec, default)} | {spec.about.replace('|', '·')} |"
    )


def _words(spec: SettingSpec, default: object) -> str:
    if default in (None, (), frozenset()):
        return "–"
    if isinstance(default, Path):
        return f"`./{default}`"
    whole = isinstance(default, float) and default.is_integer()
    return f"`{f'{default:.0f}' if whole else default}` {spec.unit}".strip()


if __name__ == "__main__":
    Path("docs/settings.md").write_text(settings_page(), encoding="utf-8")
