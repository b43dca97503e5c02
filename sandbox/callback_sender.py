"""Callbacks: one POST per change of a job, in order, tried again as documented, unless a fault strikes."""

import asyncio

import httpx
import msgspec
import structlog

from framerelay.config.waiting import wait_within
from framerelay.sandbox.job import Job, OutgoingCallback
from framerelay.sandbox.options import SandboxOptions

log = structlog.get_logger()

ANSWER_WAIT_S = 5.0


class CallbackSender:
    """Sends the callbacks of one sandbox through *client*."""

    def __init__(self, options: SandboxOptions, client: httpx.AsyncClient) -> None:
        self._options = options
        self._client = client

    def post(self, job: Job) -> None:
        """Put the job's current state into its outbox; a provider may not send a callback about each one."""
        document = job.dialect.callback_body(job)
        if document is not None or job.state.is_final:
            body = None if document is None else msgspec.json.encode(document)
            job.outbox.put_nowait(OutgoingCallback(state=job.state, body=body))

    async def deliver(self, job: Job) -> None:
        """Empty the job's outbox up to its final state; callbacks are sent only once the submit is answered."""
        faults = self._options.faults
        if not faults.strikes("early", job.number):
            await wait_within(job.answer_sent, ANSWER_WAIT_S)
        callbacks: list[OutgoingCallback] = []
        is_over = False
        while not is_over:
            callback = await job.outbox.get()
            is_over = callback.state.is_final
            if not is_over and faults.strikes("reorder", job.number, callback.state):
                callbacks.append(callback)
            else:
                await self._send(job, callback)
                while callbacks:
                    await self._send(job, callbacks.pop())
            job.callback_sent.set()

    async def _send(self, job: Job, callback: OutgoingCallback) -> None:
        """Lost, once, or three times at once."""
        faults = self._options.faults
        if job.callback_url is None or callback.body is None:
            return
        if faults.strikes("lose", job.number, callback.state):
            job.callbacks.append({"state": callback.state.value, "outcome": "lost on purpose", "tries": 0})
            return
        copies = 3 if faults.strikes("repeat", job.number, callback.state) else 1
        await asyncio.gather(*(self._try(job, callback, callback.body, job.callback_url) for _ in range(copies)))

    async def _try(self, job: Job, callback: OutgoingCallback, body: bytes, url: str) -> None:
        """
        One copy, until it is accepted or the tries are used up.

        Source: Ark's tutorial (2026-02): for final states, no success answer within 5 s leads to three tries.
        """
        tries_max = self._options.callback_tries if callback.state.is_final else 1
        outcome: object = None
        for tries in range(1, tries_max + 1):
            outcome = await self._try_once(job, url, body)
            if isinstance(outcome, int) and 200 <= outcome <= 299:
                break
            if tries < tries_max:
                await asyncio.sleep(self._options.callback_retry_s)
        job.callbacks.append({"state": callback.state.value, "outcome": outcome, "tries": tries})
        log.info("sandbox_called_back", job_id=job.id, state=callback.state.value, outcome=outcome, tries=tries)

    async def _try_once(self, job: Job, url: str, body: bytes) -> int | str:
        """The status of the answer, or what went wrong."""
        signature = job.dialect.sign(job, body) if job.dialect.sign else {}
        headers = {"Content-Type": "application/json", **signature}
        try:
            async with asyncio.timeout(self._options.callback_timeout_s):
                response = await self._client.post(url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            return type(error).__name__
        return response.status_code
