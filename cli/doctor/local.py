"""`doctor` for this machine: the settings, and the disk."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx
from starlette.datastructures import Secret

from framerelay.cli.doctor.finding import Finding, fail, ok, warn
from framerelay.cli.doctor.network import LEADS, Reach, in_thread, reach_of
from framerelay.cli.errors import folder_words
from framerelay.config.env_file import SettingInvalid
from framerelay.config.keys import weakness
from framerelay.config.misspellings import misspellings
from framerelay.config.settings import Settings, environment
from framerelay.network.policy import TrustedHosts
from framerelay.network.tls import tls_of
from framerelay.runs.errors import NotFound, StoryboardInvalid
from framerelay.storyboards.hooks import read_hooks
from framerelay.upstream.senders import read_senders, shipped_scheme
from framerelay.upstream.verifiers import read_verifiers

SCARCE_BYTES: Final = 2 << 30  # Some hundred clips and their film.
FULL_BYTES: Final = 256 << 20


async def look_at_settings(settings: Settings) -> list[Finding]:
    """Every weakness that shows without asking anybody; one finding if there is none."""
    findings = [warn(sentence, "correct its name, or remove it") for sentence in misspellings()]
    findings += _addresses(settings)
    findings += _untrusted_provider(settings)
    findings += _weak("FRAMERELAY_SECRET", [settings.secret] if settings.secret else [], "forge callback addresses")
    findings += _weak("FRAMERELAY_API_KEY", settings.api_key, "start runs that you pay for")
    findings += _weak("FRAMERELAY_READ_KEY", settings.read_key, "see all your runs")
    try:
        await in_thread(lambda: tls_of(settings))
    except SettingInvalid as error:
        findings.append(fail(str(error), "correct it: the worker does not start with it"))
    findings += await in_thread(lambda: list(_settings_file(settings)))
    file = await in_thread(Path(".env").is_file)
    read = "read from the environment and .env; nothing is misspelled"
    return findings or [ok(read if file else "read from the environment; nothing is misspelled")]


async def look_at_data(settings: Settings) -> Finding:
    """Whether the data folder can be written to, and has enough space."""
    folder = settings.data_dir
    there = await in_thread(lambda: next(each for each in (folder, *folder.parents) if each.exists()))
    try:
        free = await in_thread(lambda: _write_and_measure(there))
    except OSError as error:
        place = str(folder) if there == folder else f"{folder} is not there, and {there}"
        return fail(
            f"{place} cannot be written: {folder_words(error)}",
            "correct its owner or permissions, or set FRAMERELAY_DATA_DIR",
        )
    what = f"{folder} can be written" if there == folder else f"{folder} can be made on the first start"
    return _judge_room(f"{what}; {_gigabytes(free)} are free", free)


def _judge_room(room: str, free: int) -> Finding:
    if free < FULL_BYTES:
        return fail(room, "free some space: clips and callbacks are kept there")
    if free < SCARCE_BYTES:
        return warn(room, "free some space soon: a clip takes about 20 MB, and its film as much again")
    return ok(room)


def _addresses(settings: Settings) -> list[Finding]:
    provider = reach_of(settings.upstream_url) if settings.upstream_url else Reach.WORLD
    findings = []
    if settings.public_url and reach_of(settings.public_url) < provider:
        where = LEADS[reach_of(settings.public_url)]
        findings.append(
            warn(
                f"FRAMERELAY_PUBLIC_URL = {settings.public_url} {where}, and the provider is elsewhere",
                "set it to an address that the provider can reach; a tunnel will do",
            )
        )
    elif settings.public_url and settings.public_url.startswith("http:") and provider is Reach.WORLD:
        findings.append(
            warn(
                f"FRAMERELAY_PUBLIC_URL = {settings.public_url} is not encrypted: anyone who sees a callback pass can "
                "send others to its address",
                "put TLS in front of the receiver, and set an https:// address",
            )
        )
    if settings.upstream_url and settings.upstream_url.startswith("http:") and provider is Reach.WORLD:
        findings.append(
            warn(
                f"FRAMERELAY_UPSTREAM_URL = {settings.upstream_url} is not encrypted: the key travels readable",
                "set the provider's https:// address",
            )
        )
    return findings


def _untrusted_provider(settings: Settings) -> list[Finding]:
    """A sandbox or gateway next door usually serves its clips itself, and only public hosts are fetched from."""
    try:
        hosts = TrustedHosts(settings.trusted_hosts)
    except ValueError as error:
        return [fail(f"FRAMERELAY_TRUSTED_HOSTS: {error}", "correct it: nothing starts with it")]
    url = httpx.URL(settings.upstream_url or "https://public.example")
    host, port = url.raw_host.decode("ascii").lower(), url.port or (443 if url.scheme == "https" else 80)
    if hosts.covers(host, port) or reach_of(str(url)) is Reach.WORLD:
        return []
    place = "on this machine" if reach_of(str(url)) is Reach.MACHINE else "in a private network"
    message = f"clips that {host}:{port} serves would not be fetched: it is {place}, and not trusted"
    return [warn(message, f"if the provider's clips come from there: FRAMERELAY_TRUSTED_HOSTS={host}:{port}")]


def _settings_file(settings: Settings) -> Iterator[Finding]:
    """Mistakes that would keep worker and receiver from starting. One that both find is reported once."""
    messages: set[str] = set()
    for read, advice in (
        (_hooks, "correct the file: nothing starts with it"),
        (_verifiers, "correct the file, or give the secret: the receiver does not start with it"),
        (_providers, "correct the file: nothing starts with it"),
    ):
        try:
            read(settings)
        except StoryboardInvalid as error:
            name = settings.config_file.name
            if mistakes := [words for mistake in error.mistakes if (words := mistake.within(name)) not in messages]:
                yield fail(f"{settings.config_file}: {'; '.join(mistakes)}", advice)
            messages.update(mistakes)


def _hooks(settings: Settings) -> None:
    try:
        hosts = TrustedHosts(settings.trusted_hosts)
    except ValueError:
        return  # That has been reported already, and the hooks depend on it.
    read_hooks(settings.config_file, hosts)


def _verifiers(settings: Settings) -> None:
    read_verifiers(settings.config_file, environment(), schemes=shipped_scheme)


def _providers(settings: Settings) -> None:
    with suppress(NotFound):  # From FRAMERELAY_PROVIDER, which has its own check.
        read_senders(settings, environment())


def _weak(variable: str, secrets: Iterable[Secret], danger: str) -> list[Finding]:
    reason = next((reason for secret in secrets if (reason := weakness(secret))), None)
    if reason is None:
        return []
    message = f"{variable}: {reason}; anyone who guesses it can {danger}"
    return [warn(message, "leave it out (a strong one is made and kept), or make one with: openssl rand -hex 32")]


def _write_and_measure(folder: Path) -> int:
    """Bytes that are free in *folder*, after writing a file there that nobody sees. Raises: OSError."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x" * 4096)
        file.flush()
        os.fsync(file.fileno())
    return shutil.disk_usage(folder).free


def _gigabytes(size: int) -> str:
    return f"{size / (1 << 30):.1f} GB" if size >= 1 << 30 else f"{size / (1 << 20):.0f} MB"
