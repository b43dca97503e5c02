"""The sandbox speaks the jobs API as documented, and refuses what the API would refuse."""

import asyncio
import base64

import pytest

from framerelay.sandbox import Faults, SandboxOptions
from framerelay.upstream.client import JobsClient
from framerelay.upstream.job import read_job
from framerelay.upstream.order import Order
from framerelay.upstream.wire import JobState

pytestmark = pytest.mark.anyio

GOOD = {"model": "seedance-1.5-pro-1080p", "input": {"prompt": "rain"}}


async def test_a_job_goes_from_submit_to_clip(sandbox) -> None:
    """The create answer is the page's, and the look-up reads with our own reader."""
    async with sandbox() as client:
        job = (await client.post(GOOD)).json()
        document = await client.wait_for_end(job["id"])
        report = read_job(document)
        clip = await client.http.get(report.video_url, headers={"Range": "bytes=0-99"})

    assert {"id", "object", "status", "model", "created", "request_id"} == set(job)
    assert (job["object"], job["status"], job["model"]) == ("job", "processing", GOOD["model"])
    assert (report.state, report.job_ids[0], report.error) == (JobState.SUCCEEDED, job["id"], None)
    assert (document["output"]["task_id"], document["output"]["status"]) == (job["id"], "succeeded")
    assert (clip.status_code, len(clip.content), clip.headers["content-type"]) == (206, 100, "video/mp4")
    assert clip.content[4:8] == b"ftyp"


async def test_our_client_and_the_sandbox_understand_each_other(sandbox, tmp_path, picture) -> None:
    """All three calls, a clip that starts with an uploaded picture."""
    picture(320, 180).save(tmp_path / "first.png")
    async with sandbox() as server, JobsClient(server.url, "sk-sandbox") as client:
        url = await client.upload(tmp_path / "first.png", kind="image", purpose="first_frame")
        submit = {"prompt": "rain", "first_frame_url": url}
        answer = await client.submit(Order(model="seedance-1.5-pro-1080p", input=submit, take="take-1"))
        await server.wait_for_end(answer.job_id)
        report = await client.get_job(answer.job_id)
        journal = await server.journal()

    assert report.video_url is not None
    [job] = journal["jobs"]
    assert job["given"]["first_frame"]["width"] == 320
    assert job["idempotency_key"] == "take-1"


async def test_every_field_of_the_page_is_taken(sandbox, picture, as_png) -> None:
    """The page's sample unchanged, pictures and references together, only with pictures that are there."""
    frame = "data:image/png;base64," + base64.b64encode(as_png(picture(640, 360))).decode()
    fields = {
        "prompt": "电影感街头运镜",
        "resolution": "720p",
        "duration": 5,
        "aspect_ratio": "16:9",
        "seed": 12345,
        "callback_url": "http://127.0.0.1:9/hook",
        "ratio": "16:9",
        "frames": 121,
        "camera_fixed": False,
        "watermark": True,
        "return_last_frame": False,
        "service_tier": "auto",
        "generate_audio": False,
        "execution_expires_after": 600,
        "draft": False,
        "first_frame_url": frame,
        "last_frame_url": frame,
        "reference_image_urls": ["https://example.com/ref.png"],
        "reference_video_urls": ["https://example.com/ref.mp4"],
    }
    async with sandbox() as client:
        document = await client.wait_for_end(await client.submit(**fields))
        journal = await client.journal()

    assert document["seed"] == 12345
    assert journal["jobs"][0]["input"] == fields


WRONG = [
    ({"input": {"prompt": "x"}}, 400, "MissingParameter", "model"),
    ({"model": "", "input": {"prompt": "x"}}, 400, "MissingParameter", "model"),
    (GOOD | {"input": {}}, 400, "MissingParameter", "input.prompt"),
    (GOOD | {"input": {"prompt": " "}}, 400, "MissingParameter", "input.prompt"),
    (GOOD | {"input": {"prompt": 3}}, 400, "InvalidParameter", "input.prompt"),
    (GOOD | {"input": {"prompt": "x", "promt": "y"}}, 400, "InvalidParameter", "input.promt"),
    (GOOD | {"webhook": "x"}, 400, "InvalidParameter", "webhook"),
    (GOOD | {"input": {"prompt": "x", "resolution": "4k"}}, 400, "InvalidParameter", "input.resolution"),
    (GOOD | {"input": {"prompt": "x", "duration": "5"}}, 400, "InvalidParameter", "input.duration"),
    (GOOD | {"input": {"prompt": "x", "duration": 30}}, 400, "InvalidParameter", "input.duration"),
    (GOOD | {"input": {"prompt": "x", "frames": 1000}}, 400, "InvalidParameter", "input.frames"),
    (GOOD | {"input": {"prompt": "x", "seed": 2**32}}, 400, "InvalidParameter", "input.seed"),
    (GOOD | {"input": {"prompt": "x", "watermark": 1}}, 400, "InvalidParameter", "input.watermark"),
    (GOOD | {"input": {"prompt": "x", "callback_url": "me"}}, 400, "InvalidParameter", "input.callback_url"),
    (
        GOOD | {"input": {"prompt": "x", "first_frame_url": ""}},
        400,
        "InvalidImageURL.EmptyURL",
        "input.first_frame_url",
    ),
    (
        GOOD | {"input": {"prompt": "x", "first_frame_url": "file:///etc/passwd"}},
        400,
        "InvalidImageURL.InvalidFormat",
        "input.first_frame_url",
    ),
    (
        GOOD | {"input": {"prompt": "x", "last_frame_url": "https://e.com/a.png"}},
        400,
        "InvalidParameter",
        "input.last_frame_url",
    ),
    (
        GOOD | {"input": {"prompt": "x", "draft": True, "return_last_frame": True}},
        400,
        "InvalidParameter",
        "input.return_last_frame",
    ),
    ([], 400, "InvalidParameter", ""),
]


async def test_a_wrong_submit_is_refused_with_the_place(sandbox) -> None:
    """The documented envelope; nothing is accepted."""
    async with sandbox() as client:
        answers = [await client.post(body) for body, *_ in WRONG]
        journal = await client.journal()

    errors = [answer.json()["error"] for answer in answers]
    results = [
        (answer.status_code, error["code"], error["param"]) for answer, error in zip(answers, errors, strict=True)
    ]
    assert results == [(status, code, param) for _, status, code, param in WRONG]
    assert all({"code", "message", "param", "type"} == set(error) for error in errors)
    assert journal["jobs"] == []
    assert [entry["answer"] for entry in journal["submits"]] == [status for _, status, *_ in WRONG]


async def test_without_the_key_nothing_works(sandbox) -> None:
    """Each of the three calls, and each kind of wrong header."""
    answers = []
    async with sandbox() as client:
        for key in ("", "Bearer wrong", "Basic sk-sandbox", "Bearer", "Bearer ключ"):
            headers = {"Authorization": key.encode()}
            answers += [
                await client.http.post(f"{client.url}/v1/jobs", json=GOOD, headers=headers),
                await client.http.get(f"{client.url}/v1/jobs/job_1", headers=headers),
                await client.http.post(f"{client.url}/v1/files/upload", headers=headers),
            ]

    assert {(401, "AuthenticationError")} == {(one.status_code, one.json()["error"]["code"]) for one in answers}
    assert len(answers) == 15


async def test_what_is_not_there_is_404(sandbox) -> None:
    """Jobs, files, outputs, and names that try to leave the folder."""
    async with sandbox() as client:
        for path in ("/v1/jobs/none", "/files/none.png", "/outputs/none.mp4", "/files/..%2f..%2fetc%2fpasswd"):
            assert (await client.http.get(client.url + path)).status_code == 404


async def test_an_upload_needs_kind_purpose_and_file(sandbox) -> None:
    """And is served again unchanged."""
    async with sandbox() as client:
        upload = f"{client.url}/v1/files/upload"
        good = await client.http.post(upload, data={"kind": "image", "purpose": "x"}, files={"file": ("a.png", b"1")})
        bad = [
            await client.http.post(upload, data={"kind": "poem", "purpose": "x"}, files={"file": ("a.png", b"1")}),
            await client.http.post(upload, data={"kind": "image"}, files={"file": ("a.png", b"1")}),
            await client.http.post(upload, data={"kind": "image", "purpose": "x"}),
        ]
        response = await client.http.get(good.json()["url"])

    assert (response.content, response.headers["content-type"]) == (b"1", "image/png")
    assert good.json()["url"].endswith(".png")
    assert [answer.json()["error"]["param"] for answer in bad] == ["kind", "purpose", "file"]


async def test_a_body_past_the_limit_is_refused_unread(sandbox) -> None:
    """By its announced length; one without a length is refused too."""
    async with sandbox() as client:
        answers = []
        for header in (b"Content-Length: 99999999", b"Transfer-Encoding: chunked"):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(client.url.rpartition(":")[2]))
            writer.write(b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-sandbox\r\n" + header)
            writer.write(b"\r\n\r\n")
            answers.append(await asyncio.wait_for(reader.readline(), 60))
            writer.close()
            await writer.wait_closed()

    assert [answer.split()[1] for answer in answers] == [b"413", b"411"]


async def test_a_repeated_key_is_a_second_job_and_shows_in_the_journal(sandbox) -> None:
    """The API does not document Idempotency-Key, so a client that repeats a submit pays twice, and is caught here."""
    async with sandbox() as client:
        first = await client.post(GOOD, **{"Idempotency-Key": "take-1"})
        second = await client.post(GOOD, **{"Idempotency-Key": "take-1"})
        journal = await client.journal()

    assert first.json()["id"] != second.json()["id"]
    assert journal["repeated_keys"] == {"take-1": 2}


async def test_an_honoured_key_answers_with_the_first_job(sandbox) -> None:
    """Even where the first answer was lost; another body under the same key is a conflict."""
    async with sandbox(idempotent=True, faults=Faults(accept_then_500=1.0)) as client:
        loss = await client.post(GOOD, **{"Idempotency-Key": "take-1"})
        again = await client.post(GOOD, **{"Idempotency-Key": "take-1"})
        other = await client.post(GOOD | {"input": {"prompt": "sun"}}, **{"Idempotency-Key": "take-1"})
        journal = await client.journal()

    assert (loss.status_code, again.status_code, other.status_code) == (500, 200, 409)
    assert [job["id"] for job in journal["jobs"]] == [again.json()["id"]]


async def test_more_jobs_than_places_are_queued(sandbox) -> None:
    """Over its concurrency the real API queues."""
    async with sandbox(concurrency=1, job_s=0.3) as client:
        first, second = await client.submit(), await client.submit()
        await asyncio.wait_for(_running(client, first), 60)
        states = [(await client.get(job))["output"]["status"] for job in (first, second)]
        await client.wait_for_end(second)

    assert states == ["running", "queued"]


async def test_more_jobs_than_may_wait_are_answered_429(sandbox) -> None:
    """Bounded, and the client is told when to come back."""
    async with sandbox(jobs_max=1, job_s=5.0) as client:
        await client.submit()
        response = await client.post(GOOD)

    assert (response.status_code, response.headers["retry-after"]) == (429, "1")


async def test_urls_name_the_public_address(sandbox) -> None:
    """For a sandbox behind a proxy or in a container."""
    async with sandbox(public_url="https://sandbox.example/") as client:
        document = await client.wait_for_end(await client.submit())

    assert document["output"]["videos"][0]["url"].startswith("https://sandbox.example/outputs/")


async def test_an_upload_is_used_even_where_its_public_address_cannot_be_reached(sandbox, picture, as_png) -> None:
    """The public address is for others."""
    async with sandbox(public_url="https://sandbox.invalid") as client:
        upload = f"{client.url}/v1/files/upload"
        file = {"file": ("a.png", as_png(picture(320, 180)))}
        url = (await client.http.post(upload, data={"kind": "image", "purpose": "x"}, files=file)).json()["url"]
        await client.wait_for_end(await client.submit(first_frame_url=url))

    assert url.startswith("https://sandbox.invalid/files/")


async def test_an_expired_output_is_403(sandbox) -> None:
    """As a pre-signed URL after its day."""
    async with sandbox(output_ttl_s=0.0) as client:
        document = await client.wait_for_end(await client.submit())
        response = await client.http.get(document["output"]["videos"][0]["url"])

    assert response.status_code == 403


async def test_the_ark_dialect_is_arks_own_form(sandbox, receiver) -> None:
    """Look-ups and callbacks alike."""
    async with sandbox(dialect="ark") as client:
        job_id = await client.submit(callback_url=receiver.url, return_last_frame=True)
        document = await client.wait_for_end(job_id)
        await receiver.wait_for(3)

    assert set(document["content"]) == {"video_url", "last_frame_url"}
    assert "output" not in document
    assert [body.get("content") for body in receiver.bodies] == [None, None, document["content"]]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1:9/none.png", "InvalidImageURL.Unreachable"),
        ("{sandbox}/files/none.png", "InvalidImageURL.Unreachable"),
        ("data:image/png;base64,AAAA", "InvalidParameter.UnsupportedImageFormat"),
        ("data:image/png,raw", "InvalidImageURL.InvalidFormat"),
        ("{tiny}", "InvalidParameter.OversizedImage"),
    ],
)
async def test_an_unusable_first_frame_fails_the_job(sandbox, picture, as_png, url: str, code: str) -> None:
    """After the submit was accepted, as the real API fetches images later."""
    tiny = f"data:image/png;base64,{base64.b64encode(as_png(picture(40, 40))).decode()}"
    async with sandbox() as client:
        url = url.format(sandbox=client.url, tiny=tiny)
        document = await client.wait_for_end(await client.submit(first_frame_url=url), "failed")

    assert document["error"]["code"] == code
    assert "output" in document
    assert "videos" not in document["output"]


async def test_the_journal_holds_the_first_frame_as_it_was_given(sandbox, picture, as_png) -> None:
    """For the test that compares it with the last frame of the shot before."""
    content = as_png(picture(320, 180))
    url = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    async with sandbox() as client:
        await client.wait_for_end(await client.submit(first_frame_url=url))
        job_picture = (await client.journal())["jobs"][0]["given"]["first_frame"]
        copy = await client.http.get(job_picture["kept_url"])

    assert copy.content == content
    assert (job_picture["width"], job_picture["height"]) == (320, 180)


async def test_the_folder_is_bounded(sandbox, tmp_path) -> None:
    """The oldest clip goes first."""
    async with sandbox(folder_bytes_max=60_000) as client:
        names = []
        for _ in range(4):
            document = await client.wait_for_end(await client.submit())
            names.append(document["output"]["videos"][0]["url"].rpartition("/")[2])

    files = {path.name for path in (tmp_path / "sandbox" / "outputs").iterdir()}
    assert names[-1] in files
    assert names[0] not in files


@pytest.mark.parametrize("option", [{"key": ""}, {"scale": 2.0}, {"concurrency": 0}, {"seconds_per_clip": -1.0}])
def test_options_that_cannot_work_are_refused(tmp_path, option: dict[str, object]) -> None:
    """At start, with the name of the option."""
    with pytest.raises(Exception, match=next(iter(option))):
        SandboxOptions(**({"key": "k", "folder": tmp_path} | option))


async def _running(client, job_id: str) -> None:
    while (await client.get(job_id))["status"] == "queued":
        pass
