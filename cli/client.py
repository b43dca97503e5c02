"""The command's way to a running receiver: its run API, with errors as sentences."""

from pathlib import Path
from typing import Any

import httpx

from cli.errors import Stop
from config.keys import find_api_key
from config.settings import Settings, from_environment


class Receiver:
    """Talks to the receiver of the settings; use it as a context manager."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.command_url
        key = find_api_key(settings)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=self._url, headers=headers, timeout=httpx.Timeout(30.0), trust_env=False)

    @classmethod
    def of_environment(cls) -> "Receiver":
        """The receiver that the environment names."""
        return cls(from_environment())

    def __enter__(self) -> "Receiver":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: object) -> dict[str, Any]:
        """The JSON at *path*. Raises: Stop."""
        known = {name: str(value) for name, value in query.items() if value is not None}
        return self._ask("GET", path, params=known)

    def post(self, path: str, *, json: object = None, content: bytes | None = None) -> dict[str, Any]:
        """What *path* answers to a POST. Raises: Stop."""
        return self._ask("POST", path, json=json, content=content)

    def download(self, url: str, into: Path) -> None:
        """Write the file at *url* to *into*, whole or not at all. Raises: Stop."""
        draft = into.with_name(f".{into.name}.part")
        try:
            with self._http.stream("GET", url) as response, draft.open("wb") as file:
                if not response.is_success:
                    raise Stop(f"the receiver answered {response.status_code} for {url}")
                for chunk in response.iter_bytes():
                    file.write(chunk)
            draft.replace(into)
        except httpx.HTTPError as error:
            raise Stop(f"the download of {url} broke off: {error or type(error).__name__}") from None
        finally:
            draft.unlink(missing_ok=True)

    def _ask(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, **arguments)
        except httpx.ConnectError:
            raise Stop(
                f"there is no receiver at {self._url}; start one with `framerelay up`, or set FRAMERELAY_URL"
            ) from None
        except httpx.HTTPError as silence:
            reason = str(silence) or type(silence).__name__
            raise Stop(f"the receiver at {self._url} did not answer: {reason}") from None
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if response.is_success and isinstance(answer, dict):
            return answer
        refusal = answer.get("error", {}) if isinstance(answer, dict) else {}
        unknown = f"{self._url} answered {response.status_code}; is this a FrameRelay receiver?"
        raise Stop(refusal.get("message") or unknown)
