"""`doctor`: checks everything that a film needs, one line for each; spends nothing, changes nothing."""

import asyncio
import shutil
import sys
import textwrap
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import click

from framerelay.cli.doctor.callback import look_at_callback
from framerelay.cli.doctor.finding import Finding, Status, fail, skip
from framerelay.cli.doctor.local import look_at_data, look_at_settings
from framerelay.cli.doctor.network import Trouble
from framerelay.cli.doctor.peers import look_at_receiver
from framerelay.cli.doctor.processes import look_at_processes
from framerelay.cli.doctor.providers import look_at_providers
from framerelay.cli.doctor.redis import look_at_redis, look_at_worker
from framerelay.cli.doctor.storage import look_at_storage
from framerelay.cli.errors import FAILED, os_words
from framerelay.cli.output import echo
from framerelay.cli.runs import print_json
from framerelay.config.env_file import SettingInvalid
from framerelay.config.logs import configure_logging, redact, secrets_of
from framerelay.config.settings import Settings, from_environment
from framerelay.languages.catalogs import translate
from framerelay.runs.errors import FrameRelayError
from framerelay.runs.text import printable

Look = Callable[[Settings], Awaitable[Finding | list[Finding]]]
Say = Callable[[str, Finding], None]

LOOKS: Final[Sequence[tuple[str, Look, float]]] = (
    ("settings", look_at_settings, 10.0),
    ("data", look_at_data, 10.0),
    ("redis", look_at_redis, 20.0),
    ("storage", look_at_storage, 60.0),
    ("receiver", look_at_receiver, 20.0),
    ("worker", look_at_worker, 10.0),
    ("processes", look_at_processes, 10.0),
    ("upstream", look_at_providers, 60.0),
    ("callback", look_at_callback, 25.0),
)
"""Name, check, and the seconds after which it is given up; each check's own timeouts are shorter."""

NAME_WIDTH: Final = 10
WIDTH_MAX: Final = 110
COLORS: Final = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "red", Status.SKIPPED: None}
WORDS: Final = {Status.OK: "ok", Status.WARN: "warn", Status.FAIL: "FAIL", Status.SKIPPED: "--"}


def doctor(*, as_json: bool) -> int:
    """Check everything and print what was found; 1 if anything failed, otherwise 0."""
    findings: list[tuple[str, Finding]] = []

    def say(name: str, finding: Finding) -> None:
        findings.append((name, finding))
        if not as_json:
            _print(name, finding)

    asyncio.run(_look_at_all(say))
    failures = sum(finding.status is Status.FAIL for _, finding in findings)
    if as_json:
        checks = [
            {"name": name, "status": finding.status.value, "message": finding.message, "advice": finding.advice}
            for name, finding in findings
        ]
        print_json({"object": "diagnosis", "ok": not failures, "checks": checks})
    else:
        echo(_summary([finding.status for _, finding in findings]))
    return FAILED if failures else 0


async def _look_at_all(say: Say) -> None:
    try:
        settings = from_environment()
    except SettingInvalid as error:
        say("settings", fail(str(error), "correct it; nothing else can be checked before that"))
        for name, _, _ in LOOKS[1:]:
            say(name, skip("the settings cannot be read"))
        return
    configure_logging(replace(settings, log_level="error"))  # Internal events are not news for a person.
    say = partial(_without_secrets, say, secrets_of(settings))
    for name, look, within_s in LOOKS:
        findings = await _in_time(look, settings, within_s)
        for finding in [findings] if isinstance(findings, Finding) else findings:
            say(name, finding)


async def _in_time(look: Look, settings: Settings, within_s: float) -> Finding | list[Finding]:
    """What *look* found; a failure of one check must not prevent the others."""
    try:
        async with asyncio.timeout(within_s):
            return await look(settings)
    except TimeoutError:
        return fail("no answer came in time", "see whether its disk, network or server hangs")
    except (SettingInvalid, FrameRelayError, Trouble) as error:
        return fail(str(error))
    except PermissionError as error:
        return fail(os_words(error), "run this as the user that runs FrameRelay")
    except OSError as error:
        return fail(os_words(error))
    except Exception as error:
        return fail(f"the check itself failed: {type(error).__name__}: {error}", "please report this")


def _without_secrets(say: Say, secrets: tuple[str, ...], name: str, finding: Finding) -> None:
    """Servers may say anything, including our own key."""
    message, advice = redact(finding.message, secrets=secrets), redact(finding.advice, secrets=secrets)
    say(name, replace(finding, message=message, advice=advice))


def _print(name: str, finding: Finding) -> None:
    mark = click.style(f"{WORDS[finding.status]:<5}", fg=COLORS[finding.status])
    lines = _lines_of(printable(translate(finding.message)))
    if finding.advice:
        first, *more = _lines_of(printable(translate(finding.advice)), less=2)
        lines += [f"→ {first}", *(f"  {line}" for line in more)]
    click.echo(f"{mark} {name:<{NAME_WIDTH}}{lines[0]}")
    for line in lines[1:]:
        click.echo(" " * (6 + NAME_WIDTH) + line)


def _lines_of(text: str, *, less: int = 0) -> list[str]:
    """For a terminal in lines that fit, with long addresses whole; elsewhere one line, which is easier to search."""
    if not sys.stdout.isatty():
        return [text]
    width = min(shutil.get_terminal_size().columns, WIDTH_MAX) - 6 - NAME_WIDTH - less
    return textwrap.wrap(text, max(width, 30), break_long_words=False, break_on_hyphens=False) or [""]


def _summary(statuses: Sequence[Status]) -> str:
    failures, warnings = statuses.count(Status.FAIL), statuses.count(Status.WARN)
    if failures:
        return f"{failures} of {len(statuses)} checks failed"
    return f"it works, with {warnings} warning{'s' * (warnings != 1)}" if warnings else "all is well"
