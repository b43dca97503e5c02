"""
Every knob of FrameRelay: its variable, unit, default and reason, read once at start.

Values come from the environment and from a ``.env`` file in the working directory; ``NAME_FILE`` reads the value of any
secret from a file. A bad value stops the program with the variable's name.
"""

import dataclasses
import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.config import Config
from starlette.datastructures import Secret

HANDOFFS = ("auto", "upload", "serve")


class SettingInvalid(Exception):
    """A setting has a value that cannot be used; the message names the variable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knob:
    """What ``docs/settings.md`` says about one setting."""

    variable: str
    unit: str
    about: str
    parse: Callable[[str], object]
    secret: bool


def knob(variable: str, parse: Callable[[str], object], default: object, about: str, *, unit: str = "") -> Any:
    """One field of `Settings`; *about* is the line that the docs carry."""
    secret = parse in (_secret, _secrets)
    return dataclasses.field(
        default=default,
        metadata={"knob": Knob(variable=variable, unit=unit, about=about, parse=parse, secret=secret)},
    )


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # Half an IPv6 address, or a port that is none.
        sound = False
    if not sound or any(letter.isspace() for letter in text):
        raise ValueError("it must be an http:// or https:// address")
    if "@" in parts.netloc:
        raise ValueError("it must not carry a user name or password")
    if "?" in text or "#" in text:
        raise ValueError("it must end before any ? or #: paths are added to it")
    return text.rstrip("/")


def _redis_url(text: str) -> str:
    if not text.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("it must start with redis://, rediss:// or unix://")
    return text


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _secret(text: str) -> Secret:
    return Secret(text)


def _secrets(text: str) -> tuple[Secret, ...]:
    return tuple(Secret(each.strip()) for each in text.split(",") if each.strip())


def _hosts(text: str) -> frozenset[str]:
    hosts = frozenset(host.strip().lower() for host in text.split(",") if host.strip())
    if any("/" in host or " " in host for host in hosts):
        raise ValueError("it must be a list of host or host:port with commas between, without http://")
    return hosts


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise ValueError("it must be between 0 and 65535")
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError("it must be 1 or more")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < 10**9:
        raise ValueError("it must be a number of seconds above 0")
    return number


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError("it must be one of " + ", ".join(choices))
        return text

    return parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one process; `from_environment` reads them, tests build them with `dataclasses.replace`."""

    upstream_url: str | None = knob(
        "FRAMERELAY_UPSTREAM_URL", _url, None, "Base address of the jobs API, for example `https://api.example.com`."
    )
    upstream_key: Secret | None = knob(
        "FRAMERELAY_UPSTREAM_KEY",
        _secret,
        None,
        "Key of the jobs API; sent as Bearer to its own address and nowhere else.",
    )
    public_url: str | None = knob(
        "FRAMERELAY_PUBLIC_URL",
        _url,
        None,
        "How the provider reaches us. Unset: the receiver's own address, which only works for a provider on "
        "this machine.",
    )
    host: str = knob("FRAMERELAY_HOST", str, "127.0.0.1", "Address that the receiver listens on.")
    port: int = knob("FRAMERELAY_PORT", _port, 8080, "Port that the receiver listens on.")
    redis_url: str | None = knob(
        "FRAMERELAY_REDIS_URL",
        _redis_url,
        None,
        "`redis://`, `rediss://` or `unix://`. Unset: FrameRelay starts a Redis of its own that keeps its "
        "data under the data folder.",
    )
    data_dir: Path = knob(
        "FRAMERELAY_DATA_DIR", _path, Path("data"), "Folder of clips, frames, films, keys and the embedded Redis."
    )
    api_key: tuple[Secret, ...] = knob(
        "FRAMERELAY_API_KEY",
        _secrets,
        (),
        "Bearer key of `/v1`. Several with commas between all count, for a change of keys; the command sends the "
        "first. Unset: made on first start, printed once, kept in `api_key` under the data folder.",
    )
    read_key: tuple[Secret, ...] = knob(
        "FRAMERELAY_READ_KEY",
        _secrets,
        (),
        "Keys that may look at everything and change nothing, with commas between.",
    )
    secret: Secret | None = knob(
        "FRAMERELAY_SECRET",
        _secret,
        None,
        "Signs callback addresses and media links. Unset: made on first start, kept in `secret` under the data folder.",
    )
    trusted_hosts: frozenset[str] = knob(
        "FRAMERELAY_TRUSTED_HOSTS",
        _hosts,
        frozenset(),
        "Comma list of `host` or `host:port` that may be private addresses or plain http when clips are fetched.",
    )
    handoff: str = knob(
        "FRAMERELAY_HANDOFF",
        _one_of(*HANDOFFS),
        "auto",
        "How a last frame reaches the provider. `auto`: its own frame if the job returned one, else upload, "
        "else serve; "
        "`upload`: our frame by the provider's upload; `serve`: our frame by a signed link to `/media`.",
    )
    lookup_after_s: float = knob(
        "FRAMERELAY_LOOKUP_AFTER_S",
        _seconds,
        100.0,
        "First look-up of a take that nobody called back about; a 5 s clip takes 60 to 90 s at most providers. "
        "Sooner once it is known that such jobs take less time.",
        unit="s",
    )
    lookups_max: int = knob(
        "FRAMERELAY_LOOKUPS_MAX",
        _positive,
        4,
        "Look-ups of takes that nobody called back about that one worker makes side by side.",
    )
    config_file: Path = knob(
        "FRAMERELAY_CONFIG",
        _path,
        Path("framerelay.yaml"),
        "The settings file, which names the hooks. It may be missing.",
    )
    url: str | None = knob(
        "FRAMERELAY_URL",
        _url,
        None,
        "Where the command finds the receiver. Unset: `http://HOST:PORT` of these settings.",
    )
    ca_file: Path | None = knob(
        "FRAMERELAY_CA_FILE",
        _path,
        None,
        "PEM file of further certificate authorities, for a provider or gateway that has its own.",
    )
    upload_url_path: str | None = knob(
        "FRAMERELAY_UPLOAD_URL_PATH",
        str,
        None,
        "Dotted path of the file's address in the provider's upload answer, for example `data.file.href`. "
        "Unset: the usual places.",
    )
    submit_timeout_s: float = knob(
        "FRAMERELAY_SUBMIT_TIMEOUT_S",
        _seconds,
        60.0,
        "Longest wait for the answer to a submit; after it the outcome counts as unknown and the take is held.",
        unit="s",
    )
    unsure_hold_s: float = knob(
        "FRAMERELAY_UNSURE_HOLD_S",
        _seconds,
        172_800.0,
        "How long a take whose submit had an unknown outcome may still be alive; a job's own "
        "`execution_expires_after` goes first.",
        unit="s",
    )
    unsure: str = knob(
        "FRAMERELAY_UNSURE",
        _one_of("retake", "wait"),
        "retake",
        "What follows when such a take can no longer be alive: `retake` submits a new one inside the budget, `wait` "
        "leaves that to a person (`adopt` or `resume`).",
    )
    clip_bytes_max: int = knob(
        "FRAMERELAY_CLIP_BYTES_MAX", _positive, 1 << 30, "Largest clip that is fetched.", unit="bytes"
    )
    download_timeout_s: float = knob(
        "FRAMERELAY_DOWNLOAD_TIMEOUT_S", _seconds, 900.0, "Longest download of one clip.", unit="s"
    )
    link_life_s: float = knob(
        "FRAMERELAY_LINK_LIFE_S",
        _seconds,
        172_800.0,
        "Life of a signed link to a frame that the provider fetches from us; jobs may queue for 48 h.",
        unit="s",
    )
    callback_bytes_max: int = knob(
        "FRAMERELAY_CALLBACK_BYTES_MAX",
        _positive,
        1 << 20,
        "Largest body of a callback; more is answered 413.",
        unit="bytes",
    )
    callbacks_keep_s: float = knob(
        "FRAMERELAY_CALLBACKS_KEEP_S",
        _seconds,
        30 * 86_400.0,
        "How long received callbacks can be read again.",
        unit="s",
    )
    runs_keep_s: float | None = knob(
        "FRAMERELAY_RUNS_KEEP_S",
        _seconds,
        None,
        "How long a run that has ended is kept, with its clips and its film, after its last change. Unset: for ever.",
        unit="s",
    )
    tasks_max: int = knob("FRAMERELAY_TASKS_MAX", _positive, 20, "Tasks that one worker runs side by side.")
    log_format: str = knob(
        "FRAMERELAY_LOG_FORMAT",
        _one_of("auto", "json", "console"),
        "auto",
        "`auto` writes plain lines on a terminal and JSON elsewhere.",
    )
    log_level: str = knob(
        "FRAMERELAY_LOG_LEVEL", _one_of("debug", "info", "warning", "error"), "info", "Least level that is logged."
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
        """The base of every address that we give away: callbacks and media links."""
        return self.public_url or self.listen_url


def from_environment(environ: Mapping[str, str] | None = None, *, env_file: Path | None = None) -> Settings:
    """
    Read `Settings` from *environ* (default: the process's) and *env_file* (default: ``.env`` if it is there).

    The environment wins over the file. Raises: SettingInvalid, naming the variable and what was wrong with it.
    """
    environ = os.environ if environ is None else environ
    file = env_file or Path(".env")
    config = Config(None, environ=environ)
    config.file_values = _values_of(file)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(Settings):
        found: Knob = field.metadata["knob"]
        text = _text(config, found)
        if text:
            values[field.name] = _parsed(found, text)
    settings = Settings(**values)
    return dataclasses.replace(
        settings, data_dir=settings.data_dir.absolute(), config_file=settings.config_file.absolute()
    )


def _values_of(env_file: Path) -> dict[str, str]:
    if not env_file.is_file():
        return {}
    try:
        values = Config(env_file, environ={}).file_values
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise SettingInvalid(f"cannot read {env_file}: {reason.lower()}") from None
    return {name.removeprefix("export ").strip(): value for name, value in values.items()}


def knobs() -> list[tuple[str, Knob, object]]:
    """Every setting with its field name and default, in the order of the docs."""
    return [(field.name, field.metadata["knob"], field.default) for field in dataclasses.fields(Settings)]


def _text(config: Config, found: Knob) -> str:
    text: str = config(found.variable, default="").strip()
    if text or not found.secret:
        return text
    path = config(found.variable + "_FILE", default="").strip()
    if not path:
        return ""
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise SettingInvalid(f"{found.variable}_FILE: cannot read {path}: {reason.lower()}") from None
    if not secret:
        raise SettingInvalid(f"{found.variable}_FILE: {path} is empty")
    return secret


def _parsed(found: Knob, text: str) -> object:
    try:
        return found.parse(text)
    except ValueError as error:
        public = re.sub(r"[^/\s]*@", "[user]@", text)  # Even a misspelt address may hold a password.
        shown = "" if found.secret else f" = {public!r}"
        reason = str(error) if str(error).startswith("it must") else "it must be a number"
        raise SettingInvalid(f"{found.variable}{shown}: {reason}") from None


def misspelt(environ: Mapping[str, str] | None = None, *, env_file: Path | None = None) -> list[str]:
    """Sentences about variables that look like ours and are not: a typo must not be silently without effect."""
    known = {found.variable for _, found, _ in knobs()}
    known |= {found.variable + "_FILE" for _, found, _ in knobs() if found.secret}
    names = {*(os.environ if environ is None else environ), *_values_of(env_file or Path(".env"))}
    unknown = sorted(name for name in names if name.startswith("FRAMERELAY_") and name not in known)
    return [f"{name} is no setting of FrameRelay{_hint(name, known)}; it has no effect" for name in unknown]


def _hint(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""
