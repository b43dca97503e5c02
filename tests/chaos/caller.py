"""The person outside: starts runs and looks at them, at whichever receiver is up."""

import time
from collections.abc import Callable
from itertools import cycle
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from house import API_KEY

Answer = TypeVar("Answer")


class Caller:
    """Asks the receivers in turn, so that what one was given is read from the other."""

    def __init__(self, urls: list[str]) -> None:
        headers = {"Authorization": f"Bearer {API_KEY}"}
        self._clients = [httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=4.0) for url in urls]
        self._next = cycle(self._clients)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for client in self._clients:
            client.close()

    def start(self, number: int) -> str | None:
        """Ask for run *number*; asking again after trouble gives the same run."""
        try:
            answer = next(self._next).post(
                "/v1/runs", json=storyboard(number), headers={"Idempotency-Key": f"storm-{number}"}
            )
        except httpx.HTTPError:
            return None
        return answer.json()["id"] if answer.status_code == 201 else None

    def decide(self, path: str, body: dict[str, Any]) -> int | None:
        """POST a decision; the status of its answer, None if there was none."""
        try:
            return next(self._next).post(path, json=body).status_code
        except httpx.HTTPError:
            return None

    def storyboard(self, run_id: str) -> dict[str, Any] | None:
        """The storyboard of a run as it is now; None while nobody can say."""
        return self.ask(f"/v1/runs/{run_id}/storyboard", accept="application/json")

    def ask(self, path: str, *, accept: str = "*/*") -> dict[str, Any] | None:
        """What *path* answers; None while nobody can, a run of status ``missing`` for a 404."""
        try:
            answer = next(self._next).get(path, headers={"Accept": accept})
        except httpx.HTTPError:
            return None
        answer_body: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
        missing: dict[str, Any] = {"id": path, "status": "missing", "shots": [], "error": None}
        return answer_body or (missing if answer.status_code == 404 else None)

    def callbacks(self) -> list[dict[str, Any]] | None:
        """Every callback that was kept, page by page; None while nobody can say."""
        callbacks: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            page = self.ask(f"/v1/callbacks?limit=200{f'&after={after}' if after else ''}")
            if page is None:
                return None
            callbacks += page["data"]
            after = page["next"]
            if after is None:
                return callbacks


def surely(ask: Callable[[], Answer | None]) -> Answer:
    """What *ask* answers, within some tries."""
    for _ in range(40):
        if (value := ask()) is not None:
            return value
        time.sleep(0.25)
    raise TimeoutError("nobody answers")


def storyboard(number: int) -> dict[str, Any]:
    """Four shots, in a chain or two scenes; one run in five has an approval, one has two takes of a shot."""
    shots: list[dict[str, Any]] = [
        {"id": f"s{place}", "prompt": f"run {number}, shot {place}"} for place in (1, 2, 3, 4)
    ]
    if number % 5 == 2:
        shots[3]["gate"] = "approve"
    if number % 5 == 3:
        shots[2] |= {"takes": 2} if number % 2 else {"takes": 2, "pick": "first"}
    head = {"title": f"storm {number}", "model": "seedance-1.5-pro-1080p", "budget": {"jobs": 16}}
    if number % 2:
        return {**head, "shots": shots}
    return {**head, "scenes": [{"id": "a", "shots": shots[:2]}, {"id": "b", "shots": shots[2:]}]}
