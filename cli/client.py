"""The command's client for a running receiver: its run API, with errors as sentences."""

import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import msgspec

from framerelay.api import shapes
from framerelay.cli.errors import CommandError
from framerelay.cli.settings import settings_of_command
from framerelay.config.keys import find_api_key
from framerelay.config.settings import Settings, from_environment
from framerelay.network.tls import tls_of
from framerelay.runs.errors import Mistake, StoryboardInvalid
from framerelay.runs.model import Wording

TRIES: Final = 3
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
_LISTED_BY: Final = {
    "there is no run": "`framerelay runs` lists them",
    "there is no shot": "`framerelay show RUN` names those of a run",
    "the run has no shot": "`framerelay show RUN` names its shots",
    "there is no callback": "`framerelay callbacks` lists them",
    "there is no such callback": "`framerelay callbacks` lists them",
}
MADE_AGAIN_S_MAX: Final = 600.0  # A long film that has to be encoded takes minutes.
MADE_AGAIN_EVERY_S: Final = 1.0
# A proxy's way of saying that nobody is there counts like a refused connection; 503 is the receiver's own for "Redis is
# down".
_NOT_NOW: Final = frozenset({502, 503, 504})


S = TypeVar("S", bound=msgspec.Struct)


class Unreachable(CommandError):
    """There is no receiver, or it cannot answer now; asking again may help."""

    code = "unreachable"


class NoAnswer(Unreachable):
    """The request went out, and nobody knows what came of it."""

    code = "no_answer"


KEPT_S: Final = 2.0  # The receiver ends a connection that is idle for 5 s, maybe just when we write to it again.


class ReceiverRefusal(CommandError):
    """The receiver understood and said no."""

    code = "refused"


class Receiver:
    """Talks to the receiver of the settings; use it as a context manager."""

    def __init__(self, settings: Settings, *, timeout_s: float = 30.0) -> None:
        self._settings = settings
        self._url = settings.command_url
        key = find_api_key(settings)
        # It knows the receiver's sentences by their English, and says them in the reader's language.
        headers = {"Accept-Language": "en", **({"Authorization": f"Bearer {key}"} if key else {})}
        self._http = httpx.Client(
            base_url=self._url,
            headers=headers,
            timeout=httpx.Timeout(timeout_s),
            trust_env=False,
            limits=httpx.Limits(keepalive_expiry=KEPT_S),
            verify=(tls_of(settings) if self._url.startswith("https:") else None) or True,
        )

    @classmethod
    def of_environment(cls, *, timeout_s: float = 30.0, quiet: bool = False) -> "Receiver":
        """The receiver that the environment names; unless *quiet*, misspelled variables are reported."""
        return cls(from_environment() if quiet else settings_of_command(), timeout_s=timeout_s)

    def __enter__(self) -> "Receiver":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, shape: type[S], **query: object) -> S:
        """The answer at *path*, as *shape*; a list in *query* repeats the parameter. Raises: CommandError."""
        fields = {name: value for name, value in query.items() if value is not None}
        params = {name: value if isinstance(value, list) else str(value) for name, value in fields.items()}
        return self._ask("GET", path, shape, params=params)

    def run(self, run_id: str) -> shapes.Run:
        """The run with that id, or with an id that begins so. Raises: CommandError."""
        return self.get(f"/v1/runs/{checked_id(run_id, 'run')}", shapes.Run)

    def post(self, path: str, shape: type[S], *, json: object = None, content: bytes | None = None) -> S:
        """
        The answer of *path* to a POST, as *shape*.

        Raises: CommandError; StoryboardInvalid with every mistake that the receiver found.
        """
        return self._ask("POST", path, shape, json=json, content=content)

    def delete(self, path: str, shape: type[S]) -> S:
        """The answer of *path* to a DELETE, as *shape*. Raises: CommandError."""
        return self._ask("DELETE", path, shape)

    def start(
        self, storyboard: object, *, wording: Wording | None = None, headers: Mapping[str, str] | None = None
    ) -> shapes.Run:
        """
        A new run of *storyboard*, of its text if *wording* has it; *headers* may bring a key of their own, and terms.

        The key makes a repetition harmless, so a lost answer is simply requested again. Raises: as `post`.
        """
        headers = {"Idempotency-Key": secrets.token_hex(16), **(headers or {})}
        for _ in range(TRIES - 1):
            try:
                return self._send_board("/v1/runs", shapes.Run, storyboard, wording, headers)
            except NoAnswer:
                continue
        return self._send_board("/v1/runs", shapes.Run, storyboard, wording, headers)

    def amend(
        self,
        run_id: str,
        shape: type[S],
        storyboard: object,
        *,
        wording: Wording | None,
        headers: Mapping[str, str] | None = None,
        **query: object,
    ) -> S:
        """The answer to an amendment of the run to *storyboard*. Raises: as `post`."""
        params = {name: str(value).lower() for name, value in query.items() if value is not None}
        return self._send_board(f"/v1/runs/{run_id}/amend", shape, storyboard, wording, headers or {}, params=params)

    def storyboard(self, run_id: str, *, kind: str) -> bytes:
        """The storyboard of the run, with the content type *kind*. Raises: CommandError."""
        path = f"/v1/runs/{checked_id(run_id, 'run')}/storyboard"
        response = self._response("GET", path, {"headers": {"Accept": kind}})
        if not response.is_success:
            raise self._refusal(response)
        return response.content

    def _send_board(
        self,
        path: str,
        shape: type[S],
        storyboard: object,
        wording: Wording | None,
        headers: Mapping[str, str],
        **options: Any,
    ) -> S:
        if wording is None or wording.form != "yaml":
            return self._ask("POST", path, shape, json=storyboard, headers=headers, **options)
        headers = {**headers, "Content-Type": "application/yaml"}
        return self._ask("POST", path, shape, content=wording.text.encode(), headers=headers, **options)

    @property
    def url(self) -> str:
        """Where it is."""
        return self._url

    def place_of(self, url: str) -> str:
        """Where the file at *url* is if it is on this machine, otherwise *url*."""
        _, _, path = url.partition("/media/")
        place = self._settings.data_dir / "media" / path
        return str(place) if path and place.is_file() else url

    def picture(self, url: str) -> bytes | None:
        """What is at *url*, an address of a picture of ours; None if it cannot be fetched."""
        _, _, path = url.partition("/media/")
        try:
            response = self._http.get(f"/media/{path}")
            if response.has_redirect_location:
                with self._storage() as storage:
                    response = storage.get(response.headers["location"])
        except httpx.HTTPError:
            return None
        return response.content if response.is_success else None

    def opens(self, link: str) -> bool:
        """Whether the receiver accepts the signature of *link*, a path with its query."""
        try:
            headers = {"Authorization": "", "Range": "bytes=0-0"}
            response = self._http.get(link, headers=headers)
            return response.is_success or response.has_redirect_location
        except httpx.HTTPError:
            return False

    def download(self, url: str, into: Path) -> None:
        """
        Write the file at *url* to *into*, whole or not at all; a file that is being made again is waited for.

        Raises: CommandError, OSError.
        """
        give_up_at = time.monotonic() + MADE_AGAIN_S_MAX
        while not self._try_download(url, into, may_wait=time.monotonic() < give_up_at):
            time.sleep(MADE_AGAIN_EVERY_S)

    def _try_download(self, url: str, into: Path, *, may_wait: bool) -> bool:
        """False if the file is not there yet."""
        draft = into.with_name(f".{into.name}.part")
        try:
            with self._open(url) as response, draft.open("wb") as file:
                if response.status_code == 503 and may_wait and b'"made_again"' in response.read():
                    return False
                if not response.is_success:
                    raise CommandError(f"the receiver answered {response.status_code} for {url}")
                for chunk in response.iter_bytes():
                    file.write(chunk)
            draft.replace(into)
            return True
        except httpx.HTTPError as error:
            raise CommandError(f"the download of {url} broke off: {error or type(error).__name__}") from None
        finally:
            draft.unlink(missing_ok=True)

    @contextmanager
    def _open(self, url: str) -> Iterator[httpx.Response]:
        """The file at *url*, wherever the receiver redirects us; to object storage, without our key."""
        with self._http.stream("GET", url) as response:
            if not response.has_redirect_location:
                yield response
                return
        with self._storage() as storage, storage.stream("GET", response.headers["location"]) as response:
            yield response

    def _storage(self) -> httpx.Client:
        """Opened when the receiver redirects us elsewhere; it does not get our key."""
        return httpx.Client(timeout=self._http.timeout, trust_env=False)

    def _ask(self, method: str, path: str, shape: type[S], **options: Any) -> S:
        response = self._response(method, path, options)
        if response.is_success:
            return self._read_as(response, shape)
        raise self._refusal(response)

    def _response(self, method: str, path: str, options: Mapping[str, Any]) -> httpx.Response:
        try:
            return self._http.request(method, path, **options)
        except httpx.ConnectError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise CommandError(
                    f"{self._url} shows a certificate that is not accepted; "
                    "if it is from an authority of your own, name its file in FRAMERELAY_CA_FILE",
                    code="certificate",
                ) from None
            raise Unreachable(
                f"there is no receiver at {self._url}; start one with `framerelay up`, or set FRAMERELAY_URL"
            ) from None
        except httpx.HTTPError as silence:
            reason = str(silence) or type(silence).__name__
            raise NoAnswer(f"the receiver at {self._url} did not answer: {reason}") from None

    def _read_as(self, response: httpx.Response, shape: type[S]) -> S:
        """The one place where answers over HTTP become types; unknown fields are ignored."""
        try:
            return msgspec.json.decode(response.content, type=shape)
        except msgspec.ValidationError as error:
            outcome = "; what was asked is done" if response.request.method != "GET" else ""
            raise CommandError(
                f"{self._url} answered what this command cannot read ({error}){outcome}; "
                "is it a FrameRelay receiver of the same version?"
            ) from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._stranger(response) from None

    def _stranger(self, response: httpx.Response) -> CommandError:
        words = f"{self._url} answered {response.status_code}; is this a FrameRelay receiver?"
        return Unreachable(words) if response.status_code in _NOT_NOW else CommandError(words)

    def _refusal(self, response: httpx.Response) -> CommandError | StoryboardInvalid:
        try:
            fault = msgspec.json.decode(response.content, type=shapes.Error).error
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._stranger(response)
        status = response.status_code
        if status == 401:
            return CommandError(
                f"the receiver at {self._url} has another API key: run this in the folder where it runs, or set "
                "FRAMERELAY_DATA_DIR to its data folder or FRAMERELAY_API_KEY to its key",
                code="unauthorized",
            )
        if fault.mistakes:
            return StoryboardInvalid(
                [Mistake(place=each.place, line=each.line, message=each.message) for each in fault.mistakes]
            )
        kind = Unreachable if status in _NOT_NOW else ReceiverRefusal
        return kind(with_advice(fault.message), code=fault.code, param=fault.param)


def checked_id(text: str, what: str) -> str:
    """*text* if it can be an id, so that nothing else gets into an address. Raises: CommandError."""
    if not _ID.fullmatch(text):
        raise CommandError(with_advice(f"there is no {what} {text!r}"), code="not_found")
    return text


def with_advice(message: str) -> str:
    """*message*, and where a person can look up what they may have mistyped."""
    advice = next((advice for words, advice in _LISTED_BY.items() if message.startswith(words)), None)
    return f"{message}; {advice}" if advice else message
