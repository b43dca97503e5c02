"""As another provider the sandbox is as strict as that one, and refuses in its words."""

import asyncio
from typing import Any

import httpx
import pytest

from framerelay.sandbox import Faults

pytestmark = pytest.mark.anyio

ARK = "/ark/api/v3/contents/generations/tasks"
SEEDANCE = "/fal/bytedance/seedance-2.0/text-to-video"
KLING = "/kling/text-to-video/kling-3.0"
HAILUO = "/hailuo/v1/video_generation"
RUNWAY = "/runway/v1/text_to_video"
PICTURE = "https://example.com/first.png"


def ark(**more: Any) -> dict[str, Any]:
    return {"model": "doubao-seedance-1-5-pro-251215", "content": [{"type": "text", "text": "rain"}]} | more


def kling(*parts: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"contents": [{"type": "prompt", "text": "rain"}, *parts]} | more


def hailuo(**more: Any) -> dict[str, Any]:
    return {"model": "MiniMax-Hailuo-02", "prompt": "rain"} | more


def runway(**more: Any) -> dict[str, Any]:
    return {"model": "seedance2", "promptText": "rain"} | more


GOOD = {ARK: ark(), SEEDANCE: {"prompt": "rain"}, KLING: kling(), HAILUO: hailuo(), RUNWAY: runway()}


class Abroad:
    """A client with the key as the provider of a path wants it."""

    def __init__(self, client: Any) -> None:
        self.url: str = client.url
        self.http: httpx.AsyncClient = client.http

    def headers(self, path: str, key: str = "sk-sandbox") -> dict[str, str]:
        word = "Key" if path.startswith("/fal") else "Bearer"
        return {"Authorization": f"{word} {key}", "X-Runway-Version": "2024-11-06"}

    async def ask(self, method: str, path: str, *, key: str = "sk-sandbox", **content: Any) -> httpx.Response:
        url = path if path.startswith("http") else f"{self.url}{path}"
        headers = self.headers(httpx.URL(url).path, key) | content.pop("headers", {})
        return await self.http.request(method, url, headers=headers, **content)

    async def post(self, path: str, body: object, **more: Any) -> httpx.Response:
        return await self.ask("POST", path, json=body, **more)

    async def until(self, path: str, word: str) -> dict[str, Any]:
        """What *path* says when it has *word* in it."""
        async with asyncio.timeout(60):
            while word not in (answer := await self.ask("GET", path)).text:
                await asyncio.sleep(0.01)
        document: dict[str, Any] = answer.json()
        return document


WRONG = [
    (ARK, ark(webhook="x"), 400, "InvalidParameter"),
    (ARK, ark(duration="5"), 400, "InvalidParameter"),
    (ARK, ark(execution_expires_after=600), 400, "InvalidParameter"),
    (ARK, ark(service_tier="auto"), 400, "InvalidParameter"),
    (ARK, ark(model="gpt"), 404, "InvalidEndpointOrModel.NotFound"),
    (ARK, ark(content=[{"type": "image", "url": PICTURE}]), 400, "InvalidParameter"),
    (ARK, {"content": []}, 400, "MissingParameter"),
    ("/fal/nobody/nothing", {"prompt": "rain"}, 404, "nobody/nothing"),
    (SEEDANCE, ["rain"], 422, "value_error"),
    (KLING, kling(seed=1), 400, 1201),
    (KLING, kling(settings={"duration": "5"}), 400, 1201),
    (KLING, kling({"type": "first_frame", "url": PICTURE}), 400, 1201),
    (KLING, kling(settings={"duration": 2}), 400, 1201),
    ("/kling/text-to-video/kling-9", kling(), 404, 1203),
    ("/kling/text-to-video/kling-3.0-turbo", kling(settings={"audio": "off"}), 400, 1201),
    ("/kling/image-to-video/kling-3.0", kling({"type": "first_frame", "url": "data:image/png;base64,AA=="}), 400, 1201),
    (HAILUO, hailuo(seed=1), 200, 2013),
    (HAILUO, hailuo(duration=5), 200, 2013),
    (HAILUO, hailuo(resolution="720p"), 200, 2013),
    (HAILUO, hailuo(model="MiniMax-H3"), 200, 2013),
    (RUNWAY, runway(watermark=True), 400, "watermark"),
    (RUNWAY, runway(ratio="16:9"), 400, "ratio"),
    (RUNWAY, runway(ratio="1104:832"), 400, "ratio"),
    (RUNWAY, runway(model="gen4_turbo"), 400, "ratio"),
    (RUNWAY, runway(promptImage=PICTURE), 400, "promptImage"),
    (RUNWAY, runway(promptText="x" * 3501), 400, "promptText"),
]


def code_in(path: str, body: dict[str, Any]) -> list[object]:
    """All that a refusal names, where this provider puts it."""
    if path.startswith("/ark"):
        return [body["error"]["code"]]
    if path.startswith("/kling"):
        return [body["code"]]
    if path.startswith("/hailuo"):
        return [body["base_resp"]["status_code"]]
    if path.startswith("/runway"):
        return [name for issue in body["issues"] for name in issue["path"]]
    detail = body["detail"]
    return [each["type"] for each in detail] if isinstance(detail, list) else detail.split("'")


async def test_what_is_wrong_is_refused_in_the_words_of_the_provider(sandbox: Any) -> None:
    """Unknown fields, other types, unknown models, values out of bounds."""
    async with sandbox() as client:
        abroad = Abroad(client)
        for path, body, status, code in WRONG:
            answer = await abroad.post(path, body)
            assert (answer.status_code, code in code_in(path, answer.json())) == (status, True), (
                path,
                body,
                answer.text,
            )
        journal = await client.journal()

    assert journal["jobs"] == []


async def test_a_wrong_key_is_refused_everywhere(sandbox: Any) -> None:
    """By the header that the provider has for it: fal's word is Key, and no other."""
    async with sandbox() as client:
        abroad = Abroad(client)
        answers = {path: await abroad.post(path, body, key="sk-wrong") for path, body in GOOD.items()}
        bearer = await abroad.post(SEEDANCE, GOOD[SEEDANCE], headers={"Authorization": "Bearer sk-sandbox"})
        unversioned_response = await abroad.post(RUNWAY, GOOD[RUNWAY], headers={"X-Runway-Version": ""})

    assert [answer.status_code for answer in answers.values()] == [401, 401, 401, 200, 401]
    assert answers[KLING].json()["code"] == 1002
    assert answers[HAILUO].json()["base_resp"]["status_code"] == 1004
    assert (bearer.status_code, unversioned_response.status_code) == (401, 400)


async def test_fal_tells_what_is_wrong_with_a_request_when_it_runs(sandbox: Any) -> None:
    """Its queue takes anything; the second look-up is an error."""
    async with sandbox() as client:
        abroad = Abroad(client)
        job = (await abroad.post(SEEDANCE, {"prompt": "rain", "watermark": True})).json()
        status = await abroad.until(job["status_url"], "COMPLETED")
        result = await abroad.ask("GET", job["response_url"])

    assert status["status"] == "COMPLETED"
    assert (result.status_code, result.json()["detail"][0]["loc"]) == (422, ["body", "watermark"])


async def test_kling_has_a_reference_once_and_finds_it(sandbox: Any) -> None:
    """A second create is refused, and makes nothing; ids that are not there are left out of the answer."""
    body = kling(options={"external_task_id": "take-1"})
    async with sandbox() as client:
        abroad = Abroad(client)
        first = (await abroad.post(KLING, body)).json()
        second = await abroad.post(KLING, body)
        answer = (await abroad.ask("GET", "/kling/tasks?external_task_ids=take-1,take-2")).json()
        absent = (await abroad.ask("GET", "/kling/tasks?task_ids=1")).json()
        listing = (await abroad.post("/kling/tasks", {"limit": 1})).json()
        jobs = (await client.journal())["jobs"]

    assert (second.status_code, second.json()["code"]) == (400, 1201)
    assert "already exists" in second.json()["message"]
    assert [record["id"] for record in answer["data"]] == [first["data"]["id"]]
    assert (absent["code"], absent["data"]) == (0, [])
    assert [record["id"] for record in listing["data"]["result"]] == [first["data"]["id"]]
    assert len(jobs) == 1


async def test_hailuo_makes_no_job_for_an_address_that_does_not_echo(sandbox: Any, receiver: Any) -> None:
    """The receiver here answers 200, without the challenge."""
    async with sandbox() as client:
        answer = await Abroad(client).post(HAILUO, hailuo(callback_url=receiver.url))
        jobs = (await client.journal())["jobs"]

    assert (answer.status_code, answer.json()["base_resp"]["status_code"]) == (200, 2013)
    assert [list(body) for body in receiver.bodies] == [["challenge"]]
    assert jobs == []


@pytest.mark.parametrize("path", [HAILUO, RUNWAY])
async def test_another_look_up_gives_a_fresh_address(sandbox: Any, path: str) -> None:
    """The earlier one has expired."""
    async with sandbox(output_ttl_s=0.2) as client:
        abroad = Abroad(client)
        job = (await abroad.post(path, GOOD[path])).json()
        if path == RUNWAY:
            query_path, read = f"/runway/v1/tasks/{job['id']}", lambda body: body["output"][0]
            await abroad.until(query_path, "SUCCEEDED")
        else:
            query = f"/hailuo/v1/query/video_generation?task_id={job['task_id']}"
            answer = await abroad.until(query, "Success")
            query_path, read = (
                f"/hailuo/v1/files/retrieve?file_id={answer['file_id']}",
                lambda b: b["file"]["download_url"],
            )
        old = read((await abroad.ask("GET", query_path)).json())
        async with asyncio.timeout(60):
            while (await abroad.ask("GET", old)).status_code != 403:
                await asyncio.sleep(0.01)
        new = read((await abroad.ask("GET", query_path)).json())

    assert old != new


async def test_what_is_queued_is_cancelled_where_the_provider_can(sandbox: Any) -> None:
    """Ark, fal and Runway; a job that has ended is another matter in each."""
    async with sandbox(queue_s=30.0) as client:
        abroad = Abroad(client)
        task = f"{ARK}/{(await abroad.post(ARK, ark())).json()['id']}"
        job = (await abroad.post(SEEDANCE, GOOD[SEEDANCE])).json()
        runway_task = f"/runway/v1/tasks/{(await abroad.post(RUNWAY, runway())).json()['id']}"
        answers = [
            await abroad.ask("DELETE", task),
            await abroad.ask("PUT", job["cancel_url"]),
            await abroad.ask("DELETE", runway_task),
        ]
        again = await abroad.ask("DELETE", task)
        words = [(await abroad.ask("GET", each)).json()["status"] for each in (task, runway_task)]
        listing = (await abroad.ask("GET", f"{ARK}?filter.status=cancelled")).json()

    assert [answer.status_code for answer in answers] == [200, 202, 204]
    assert again.status_code == 409
    assert words == ["cancelled", "CANCELLED"]
    assert listing["total"] == 1


BUSY = {ARK: (429, 503, 500), SEEDANCE: (429, 503, 500), KLING: (429, 503, 500), HAILUO: (200, 503, 500)}


@pytest.mark.parametrize("path", [*BUSY, RUNWAY])
async def test_the_same_switches_strike_in_every_dialect(sandbox: Any, path: str) -> None:
    """A 429 and a 503 make no job, a broken submit makes one."""
    answers = []
    for switch in ("rate_limit", "busy", "accept_then_500"):
        async with sandbox(faults=Faults(**{switch: 1.0})) as client:
            answers.append(await Abroad(client).post(path, GOOD[path]))
            jobs = (await client.journal())["jobs"]
            assert len(jobs) == (switch == "accept_then_500")

    assert tuple(answer.status_code for answer in answers) == BUSY.get(path, (429, 503, 500))
    if path == HAILUO:
        assert answers[0].json()["base_resp"]["status_code"] == 1002
