"""Several look-ups in one GET, if a provider takes several ids: planned ones wait a moment for each other."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from framerelay.upstream.create_answer import ApiAnswer
from framerelay.upstream.paths import read_path
from framerelay.upstream.profile import BatchRules

GATHER_S: Final = 0.05

Ask = Callable[[str], Awaitable[ApiAnswer]]


class LookUpBatch:
    """Asks for up to ``rules.ids`` jobs at once through *ask*, which takes their ids joined by ``rules.join``."""

    def __init__(self, rules: BatchRules, ask: Ask) -> None:
        self._rules = rules
        self._ask = ask
        self._waiting: dict[str, asyncio.Future[ApiAnswer]] = {}
        self._asking = set[asyncio.Task[None]]()

    async def answer(self, job_id: str) -> ApiAnswer:
        """The answer as it would be for *job_id* alone. Raises: whatever *ask* raises."""
        future = self._waiting.get(job_id)
        if future is None:
            loop = asyncio.get_running_loop()
            future = self._waiting[job_id] = loop.create_future()
            if len(self._waiting) >= self._rules.ids:
                self._leave()
            elif len(self._waiting) == 1:
                loop.call_later(GATHER_S, self._leave)
        return await asyncio.shield(future)

    def _leave(self) -> None:
        waiting, self._waiting = self._waiting, {}
        if waiting:
            task = asyncio.ensure_future(self._ask_for(waiting))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _ask_for(self, waiting: Mapping[str, "asyncio.Future[ApiAnswer]"]) -> None:
        try:
            answer = await self._ask(self._rules.join.join(waiting))
        except BaseException as error:  # Every look-up that waits must learn of it.
            for future in waiting.values():
                future.set_exception(error)
                future.exception()  # A look-up that was cancelled in the meantime does not retrieve it.
            return
        for job_id, future in waiting.items():
            future.set_result(self._of(answer, job_id))

    def _of(self, answer: ApiAnswer, job_id: str) -> ApiAnswer:
        """*answer* with only the record of *job_id*, or none; an answer without records is everybody's."""
        document = answer.document()
        records = read_path(self._rules.records).find(document, document) if document else None
        if document is None or not isinstance(records, list):
            return answer
        key = read_path(self._rules.key)
        own = [record for record in records if str(key.find(record, record)) == job_id]
        content = msgspec.json.encode(_with(document, self._rules.records.split("."), own))
        return ApiAnswer(status=answer.status, headers=answer.headers, content=content)


def _with(document: Mapping[str, Any], keys: list[str], value: object) -> dict[str, Any]:
    first, *rest = keys
    inner = document.get(first)
    return {**document, first: _with(inner, rest, value) if rest and isinstance(inner, dict) else value}
