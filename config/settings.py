"""
Every setting of FrameRelay: its variable, unit, default and reason, read once at start.

Values come from the environment and from a ``.env`` file in the working directory; ``NAME_FILE`` reads the value of any
secret from a file. A bad value stops the program with the variable's name.
"""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

from starlette.config import Config
from starlette.datastructures import Secret

from framerelay.config.env_file import values_of
from framerelay.config.parse import (
    as_hosts,
    as_keeping,
    as_networks,
    as_number,
    as_path,
    as_port,
    as_positive,
    as_redis_url,
    as_seconds,
    as_secret,
    as_secrets,
    as_signing_secrets,
    as_store,
    as_url,
    one_of,
)
from framerelay.config.setting_spec import SettingSpec, setting, text_of, value_of

HANDOFFS = ("auto", "upload", "serve", "inline")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one process; `from_environment` reads them, tests build them with `dataclasses.replace`."""

    provider: str = setting(
        "FRAMERELAY_PROVIDER",
        str,
        "jobs",
        "Provider of storyboards that name none: a profile that is shipped, or a name from `framerelay.yaml`.",
        live=True,
    )
    upstream_url: str | None = setting(
        "FRAMERELAY_UPSTREAM_URL",
        as_url,
        None,
        "Base address of that provider, for example `https://api.example.com`. Unset: that of its profile.",
        live=True,
    )
    upstream_key: Secret | None = setting(
        "FRAMERELAY_UPSTREAM_KEY",
        as_secret,
        None,
        "Key of that provider; sent to its own hosts and nowhere else. Unset: the variable that its own tools use.",
        live=True,
    )
    public_url: str | None = setting(
        "FRAMERELAY_PUBLIC_URL",
        as_url,
        None,
        "How the provider reaches us. Unset: the receiver's own address, which only works for a provider on "
        "this machine.",
    )
    host: str = setting("FRAMERELAY_HOST", str, "127.0.0.1", "Address that the receiver listens on.")
    port: int = setting("FRAMERELAY_PORT", as_port, 8080, "Port that the receiver listens on.")
    redis_url: str | None = setting(
        "FRAMERELAY_REDIS_URL",
        as_redis_url,
        None,
        "`redis://`, `redis+sentinel://`, `redis+cluster://`, each with `rediss` for TLS, or `unix://`, Redis 7 or "
        "later, or Valkey. Unset: FrameRelay starts a Redis of its own that keeps its data under the data folder.",
    )
    redis_copies: int = setting(
        "FRAMERELAY_REDIS_COPIES",
        as_number,
        0,
        "Copies (replicas) of Redis that must have an intent before its submit leaves, and a callback before it is "
        "acknowledged, so that a fail-over that loses the last seconds pays for nothing twice. 0: none is waited for.",
    )
    redis_copies_on_disk: str = setting(
        "FRAMERELAY_REDIS_COPIES_ON_DISK",
        one_of("no", "yes"),
        "no",
        "`yes`: these copies must have it on their disks (`WAITAOF`, Redis 7.2 or Valkey). It takes a second where "
        "they sync each second, and says nothing new where they sync each write.",
    )
    data_dir: Path = setting(
        "FRAMERELAY_DATA_DIR", as_path, Path("data"), "Folder of clips, frames, films, keys and the embedded Redis."
    )
    store: str | None = setting(
        "FRAMERELAY_STORE",
        as_store,
        None,
        "Object storage for clips, frames and films, for machines without a common folder: `s3://BUCKET/PREFIX`, "
        "`gs://…` or `az://…`, with credentials by the cloud's own variables or role. Unset: the data folder.",
    )
    store_endpoint: str | None = setting(
        "FRAMERELAY_STORE_ENDPOINT", as_url, None, "Its address, where that is not the cloud's own; `http://` will do."
    )
    media: str = setting(
        "FRAMERELAY_MEDIA",
        one_of("redirect", "proxy"),
        "redirect",
        "How `/media` hands out what is in object storage: `redirect` sends the reader to a signed link there, "
        "`proxy` serves it itself, for storage that readers and providers cannot reach.",
    )
    scratch_bytes_max: int = setting(
        "FRAMERELAY_SCRATCH_BYTES_MAX",
        as_positive,
        20 << 30,
        "With object storage: what the data folder keeps of copies; the ones that were used longest ago leave first.",
        unit="bytes",
    )
    api_key: tuple[Secret, ...] = setting(
        "FRAMERELAY_API_KEY",
        as_secrets,
        (),
        "Bearer key of `/v1`. Several with commas between all count, for a change of keys; the command sends the "
        "first. Unset: made on first start, printed once, kept in `api_key` under the data folder.",
        live=True,
    )
    read_key: tuple[Secret, ...] = setting(
        "FRAMERELAY_READ_KEY", as_secrets, (), "Keys that may look and change nothing, with commas between.", live=True
    )
    secret: Secret | None = setting(
        "FRAMERELAY_SECRET",
        as_secret,
        None,
        "Signs callback addresses and media links. Unset: made on first start, kept in `secret` under the data folder.",
    )
    notify_secret: tuple[Secret, ...] = setting(
        "FRAMERELAY_NOTIFY_SECRET",
        as_signing_secrets,
        (),
        "Signs notifications, as Standard Webhooks has it: `whsec_` and base64. Several with commas between all sign, "
        "for a change of secrets. Unset: one that follows from `FRAMERELAY_SECRET`; "
        "`framerelay notifications --secret` prints it.",
        live=True,
    )
    trusted_hosts: frozenset[str] = setting(
        "FRAMERELAY_TRUSTED_HOSTS",
        as_hosts,
        frozenset(),
        "Comma list of `host` or `host:port` that may be private addresses or plain http when clips are fetched or "
        "notifications sent.",
    )
    handoff: str = setting(
        "FRAMERELAY_HANDOFF",
        one_of(*HANDOFFS),
        "auto",
        "How a last frame reaches the provider. `auto`: its own frame if the job returned one, else upload, "
        "else inline, else serve, as its profile accepts; `upload`: our frame by the provider's upload; "
        "`inline`: in the request itself; `serve`: our frame by a signed link to `/media`.",
    )
    lookup_after_s: float = setting(
        "FRAMERELAY_LOOKUP_AFTER_S",
        as_seconds,
        100.0,
        "First look-up of a take that nobody called back about; a 5 s clip takes 60 to 90 s at most providers. "
        "Sooner once it is known that such jobs take less time.",
        unit="s",
    )
    lookups_max: int = setting(
        "FRAMERELAY_LOOKUPS_MAX",
        as_positive,
        4,
        "Look-ups of takes that nobody called back about that one worker makes side by side.",
    )
    config_file: Path = setting(
        "FRAMERELAY_CONFIG", as_path, Path("framerelay.yaml"), "The settings file, with the hooks; it may be missing."
    )
    url: str | None = setting(
        "FRAMERELAY_URL", as_url, None, "Where the command finds the receiver. Unset: `http://HOST:PORT` as here."
    )
    ca_file: Path | None = setting(
        "FRAMERELAY_CA_FILE",
        as_path,
        None,
        "PEM file of further certificate authorities, for a provider, a gateway, a Redis (`rediss://`) or a receiver "
        "that has its own.",
    )
    upload_url_path: str | None = setting(
        "FRAMERELAY_UPLOAD_URL_PATH",
        str,
        None,
        "Dotted path of the file's address in the provider's upload answer, for example `data.file.href`. "
        "Unset: the usual places.",
    )
    submit_timeout_s: float = setting(
        "FRAMERELAY_SUBMIT_TIMEOUT_S",
        as_seconds,
        60.0,
        "Longest wait for the answer to a submit; after it the outcome counts as unknown and the take is held.",
        unit="s",
    )
    submit_503: str = setting(
        "FRAMERELAY_SUBMIT_503",
        one_of("put_off", "hold"),
        "put_off",
        "What follows a submit that the provider answers 503 with an error in JSON or `Retry-After`: `put_off` sends "
        "it again later; `hold` counts its outcome as unknown, for a provider that may have accepted it all the same. "
        "A bare 503 is always held.",
    )
    unsure_hold_s: float = setting(
        "FRAMERELAY_UNSURE_HOLD_S",
        as_seconds,
        172_800.0,
        "How long a take whose submit had an unknown outcome may still be alive; a job's own "
        "`execution_expires_after` goes first.",
        unit="s",
    )
    unsure: str = setting(
        "FRAMERELAY_UNSURE",
        one_of("retake", "wait"),
        "retake",
        "What follows when such a take can no longer be alive: `retake` submits a new one inside the budget, `wait` "
        "leaves that to a person (`adopt` or `resume`).",
    )
    ask_after_s: float = setting(
        "FRAMERELAY_ASK_AFTER_S",
        as_seconds,
        900.0,
        "When a person is asked about a job whose status is a word that is not known here, that is said to be done "
        "without a clip, or of which the provider knows nothing any more or says nothing readable; and about a submit "
        "whose outcome nobody knows, where too few such jobs were done to know how long they take (else after three "
        "times the usual time).",
        unit="s",
    )
    clip_bytes_max: int = setting(
        "FRAMERELAY_CLIP_BYTES_MAX", as_positive, 1 << 30, "Largest clip that is fetched.", unit="bytes"
    )
    download_timeout_s: float = setting(
        "FRAMERELAY_DOWNLOAD_TIMEOUT_S", as_seconds, 900.0, "Longest download of one clip.", unit="s"
    )
    link_life_s: float = setting(
        "FRAMERELAY_LINK_LIFE_S",
        as_seconds,
        172_800.0,
        "Life of a signed link to a frame that the provider fetches from us; jobs may queue for 48 h.",
        unit="s",
    )
    request_timeout_s: float = setting(
        "FRAMERELAY_REQUEST_TIMEOUT_S",
        as_seconds,
        20.0,
        "Longest time for the head of a request, for its body (a second more for each 50 kB of it), and for a reader "
        "that takes nothing of its answer.",
        unit="s",
    )
    connections_max: int = setting(
        "FRAMERELAY_CONNECTIONS_MAX",
        as_positive,
        1000,
        "Connections to the receiver at once. One more takes the place of the one that has waited longest without a "
        "whole request; where all are at work it is answered 503.",
    )
    trusted_proxies: frozenset[IPv4Network | IPv6Network] = setting(
        "FRAMERELAY_TRUSTED_PROXIES",
        as_networks,
        frozenset(),
        "Comma list of addresses or networks (`10.0.0.0/8`) of proxies before the receiver, whose `X-Forwarded-For` or "
        "`Forwarded` is believed. Unset: nobody's.",
    )
    callbacks_per_minute: int = setting(
        "FRAMERELAY_CALLBACKS_PER_MINUTE",
        as_positive,
        6000,
        "Callbacks at the address of one take before they are answered 429; at that of a hook, which many jobs share, "
        "a hundred times as many.",
    )
    refusals_per_minute: int = setting(
        "FRAMERELAY_REFUSALS_PER_MINUTE",
        as_positive,
        1200,
        "Requests without a good token or key from one address before they are answered 429; good ones from there are "
        "not counted.",
    )
    callback_bytes_max: int = setting(
        "FRAMERELAY_CALLBACK_BYTES_MAX", as_positive, 1 << 20, "Largest body; more is answered 413.", unit="bytes"
    )
    callback_bytes_per_day: int = setting(
        "FRAMERELAY_CALLBACK_BYTES_PER_DAY",
        as_positive,
        32 << 20,
        "What is kept of callbacks at the address of one take before they are answered 429, at least four of the "
        "largest; at that of a hook a hundred times as much. Each counts with a kilobyte more than its body.",
        unit="bytes",
    )
    callbacks_keep_s: float = setting(
        "FRAMERELAY_CALLBACKS_KEEP_S",
        as_seconds,
        30 * 86_400.0,
        "How long received callbacks, and notifications with their deliveries, can be read again.",
        unit="s",
    )
    runs_keep_s: float | None = setting(
        "FRAMERELAY_RUNS_KEEP_S",
        as_keeping,
        None,
        "How long a run that has ended is kept, with its clips and its film, after its last change. Unset: forever.",
        unit="s",
    )
    frames_keep_s: float | None = setting(
        "FRAMERELAY_FRAMES_KEEP_S",
        as_keeping,
        30 * 86_400.0,
        "How long its first and last frames are kept; after that they are made again from their clips when somebody "
        "wants them. `forever`: they stay.",
        unit="s",
    )
    tasks_max: int = setting("FRAMERELAY_TASKS_MAX", as_positive, 20, "Tasks that one worker runs side by side.")
    films_max: int = setting(
        "FRAMERELAY_FILMS_MAX",
        as_positive,
        2,
        "Heavy tasks (a film joined, first frames looked at, a file made again) among them; one place is always left "
        "for the others where there are two.",
    )
    films_grace_s: float = setting(
        "FRAMERELAY_FILMS_GRACE_S",
        as_seconds,
        60.0,
        "How long a `worker` that is asked to end waits for its heavy tasks; for others 8 s, as `up` does for all.",
        unit="s",
    )
    worker_port: int = setting(
        "FRAMERELAY_WORKER_PORT",
        as_port,
        0,
        "Port on which `worker` answers `/livez`, `/readyz` and `/metrics` at `FRAMERELAY_HOST`, to anyone who can "
        "reach it; 0: none. With `up` the receiver's port shows the same.",
    )
    lang: str | None = setting(
        "FRAMERELAY_LANG", one_of("en", "zh"), None, "Language of page, command and API. Unset: that of the reader."
    )
    log_format: str = setting(
        "FRAMERELAY_LOG_FORMAT", one_of("auto", "json", "console"), "auto", "`auto`: plain on a terminal, else JSON."
    )
    log_level: str = setting(
        "FRAMERELAY_LOG_LEVEL", one_of("debug", "info", "warning", "error"), "info", "Lowest level that is logged."
    )

    @property
    def listen_url(self) -> str:
        """Where this machine reaches the receiver."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104  (compared, not bound)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def command_url(self) -> str:
        """Where the command finds the receiver."""
        return self.url or self.listen_url

    @property
    def reachable_url(self) -> str:
        """The base of every address that we give out: callbacks and media links."""
        return self.public_url or self.listen_url


def from_environment(environ: Mapping[str, str] | None = None, *, env_file: Path | None = None) -> Settings:
    """
    Read `Settings` from *environ* (default: the process's) and *env_file* (default: ``.env`` if it exists).

    The environment overrides the file. Raises: SettingInvalid, naming the variable and what was wrong with it.
    """
    environ = os.environ if environ is None else environ
    file = env_file or Path(".env")
    config = Config(None, environ=environ)
    config.file_values = values_of(file)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(Settings):
        entry: SettingSpec = field.metadata["spec"]
        text = text_of(config, entry)
        if text:
            values[field.name] = value_of(entry, text)
    settings = Settings(**values)
    return dataclasses.replace(
        settings, data_dir=settings.data_dir.absolute(), config_file=settings.config_file.absolute()
    )


def environment() -> dict[str, str]:
    """Every variable of the process, and those of ``.env`` that the process lacks: for names that a person chose."""
    return {**values_of(Path(".env")), **os.environ}


def setting_specs() -> list[tuple[str, SettingSpec, object]]:
    """Every setting with its field name and default, in the order of the docs."""
    return [(field.name, field.metadata["spec"], field.default) for field in dataclasses.fields(Settings)]
