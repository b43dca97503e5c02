"""`doctor` for the running processes: whether they still work with other settings than those that it reads."""

import socket
from importlib.metadata import version
from itertools import groupby
from typing import Final

from framerelay.cli.doctor.finding import Finding, fail, ok, skip, warn
from framerelay.cli.doctor.network import in_thread
from framerelay.cli.doctor.redis import client_of
from framerelay.config.keys import find_secret
from framerelay.config.marks import SECRET, fixed_variables, marks_of
from framerelay.config.settings import Settings, setting_specs
from framerelay.runs.text import join_names
from framerelay.store.processes import Process, processes
from framerelay.store.redis_messages import REDIS_ERRORS

LIVE: Final = frozenset(spec.variable for _, spec, _ in setting_specs() if spec.live)
# Must be the same wherever they run; other settings may suit the machine.
EVERYWHERE: Final = frozenset({"FRAMERELAY_UPSTREAM_URL", "FRAMERELAY_UPSTREAM_KEY", "FRAMERELAY_PUBLIC_URL", SECRET})
DECISIVE: Final = frozenset({"FRAMERELAY_UPSTREAM_URL", "FRAMERELAY_UPSTREAM_KEY", SECRET})


async def look_at_processes(settings: Settings) -> list[Finding]:
    """One finding for each process that has other settings or another version; or else one for all. Raises: Trouble."""
    secret = await in_thread(lambda: find_secret(settings))
    if secret is None:
        return [skip("nothing was started here yet: there is no secret")]
    try:
        async with client_of(settings) as redis:
            records = await processes(redis) if redis else []
    except REDIS_ERRORS:
        return [skip("processes can only be seen in Redis, which does not answer")]
    if not records:
        return [skip("no receiver and no worker runs")]
    marks = marks_of(settings, secret)
    records.sort(key=lambda each: (each.host, each.pid, each.part))
    findings = []
    for _, parts in groupby(records, key=lambda each: (each.host, each.pid)):
        findings += _findings_on(list(parts), marks)
    return findings or [ok(f"{_tally(records)}: with the settings that this command reads")]


def _findings_on(parts: list[Process], marks: dict[str, str]) -> list[Finding]:
    """Problems of one process, whose *parts* are in Redis."""
    name = _name(parts)
    process = parts[0]
    differing = [variable for variable in _variables_of(process) if _differs(parts, variable, marks)]
    findings = []
    if SECRET in differing:  # Their marks are made with another key, and say nothing about the rest.
        words = f"{name} has another FRAMERELAY_SECRET: callbacks of one are strangers to the other"
        findings.append(fail(words, "restart it, where it is right"))
    elif DECISIVE.intersection(differing):
        findings.append(fail(f"{name} still has another {join_names(differing, 'and')}", _advice(process, differing)))
    elif differing:
        findings.append(warn(f"{name} still has another {join_names(differing, 'and')}", _advice(process, differing)))
    if process.version != (ours := version("framerelay")):
        findings.append(warn(f"{name} is of version {process.version}, this command of {ours}", "restart it"))
    return findings


def _variables_of(process: Process) -> list[str]:
    same_machine = process.host == socket.gethostname()
    return [spec.variable for _, spec, _ in setting_specs() if same_machine or spec.variable in EVERYWHERE]


def _differs(parts: list[Process], variable: str, marks: dict[str, str]) -> bool:
    """A setting that one of the two does not know, or that may differ between processes, is not compared."""
    ours = marks.get(variable)
    return ours is not None and any(part.marks.get(variable, ours) != ours for part in parts)


def _advice(process: Process, differing: list[str]) -> str:
    """How it can get the settings that were read here."""
    restart = f"restart it (pid {process.pid} on {process.host})"
    if not LIVE.issuperset(differing):
        return f"{restart} with these settings"
    if fixed_there := [variable for variable in differing if variable in process.fixed]:
        return (
            f"it has {join_names(fixed_there, 'and')} from its environment, which it keeps: {restart} with the new one"
        )
    if fixed_here := [variable for variable in differing if variable in fixed_variables()]:
        names = join_names(fixed_here, "and")
        return f"this terminal has {names} in its environment, which goes before .env: unset it, or {restart}"
    hang_up = f"kill -HUP {process.pid}{'' if process.host == socket.gethostname() else f' on {process.host}'}"
    return f"resume a run that waits for it, or have it read its keys again: {hang_up}"


def _name(parts: list[Process]) -> str:
    return f"the {join_names([part.part for part in parts], 'and')} on {parts[0].host} (pid {parts[0].pid})"


def _tally(records: list[Process]) -> str:
    names = [_name(list(parts)) for _, parts in groupby(records, key=lambda each: (each.host, each.pid))]
    return (
        join_names(names[:3], "and")
        if len(names) <= 3
        else f"{len(names)} processes on {len({p.host for p in records})} machines"
    )
