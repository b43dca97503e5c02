"""Jobs that are asked for: one whose submit was lost, by our reference or in a list, and several by one GET."""

import asyncio
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from starlette.responses import JSONResponse, Response

from framerelay.runs.errors import (
    UpstreamAnswerUnreadable,
    UpstreamRejected,
    UpstreamUnavailable,
)
from framerelay.upstream.client import JobsClient
from framerelay.upstream.profile import Recover
from framerelay.upstream.profile_file import load_shipped
from framerelay.upstream.search import LostSubmit
from framerelay.upstream.wire import JobState

pytestmark = pytest.mark.anyio


def lost_submit(take: str, callback_url: str | None = None) -> LostSubmit:
    return LostSubmit(take=take, callback_url=callback_url, model="ray-2", since=1_000_000.0)


REFERENCE = {"sent_as": "ref", "get": "/jobs/by/{take}"}


@pytest.mark.parametrize(
    ("answer", "job_ids"),
    [
        (JSONResponse({"id": "7", "status": "queued", "ref": "a reference/1"}), ("7",)),
        (JSONResponse({"id": "7", "status": "queued"}), None),
        (JSONResponse({"error": {"message": "no such job"}}, 404), None),
        (JSONResponse({"status": "queued"}), None),
    ],
)
async def test_a_job_is_found_by_our_reference_or_is_not_there(
    provider, answer: Response, job_ids: tuple[str, ...] | None
) -> None:
    """Asking costs nothing; who cannot be asked so is not asked."""
    rules = msgspec.convert({"reference": REFERENCE}, Recover)
    profile = msgspec.structs.replace(load_shipped("ark"), recover=rules)
    provider.answers = [answer]
    async with JobsClient(provider.url, "sk-test-key", profile=profile) as client:
        report = await client.find_job(lost_submit("a reference/1"))
    assert (report and report.job_ids) == job_ids
    assert [path for _, path, _, _ in provider.requests] == ["/jobs/by/a%20reference%2F1"]

    async with JobsClient(provider.url, "sk-test-key", profile=load_shipped("jobs")) as client:
        assert await client.find_job(lost_submit("r")) is None
    assert len(provider.requests) == 1


async def test_a_job_is_found_in_the_providers_list_by_the_address_that_only_its_submit_named(provider) -> None:
    """Pages are turned until it is there; another's job that looks like it is not taken."""
    rules = {"list": {"get": "/generations?page={page}", "items": "generations", "reference": "request.callback_url"}}
    profile = msgspec.structs.replace(load_shipped("luma"), recover=msgspec.convert(rules, Recover))
    mine, other = "https://relay.example/webhook/mine", "https://relay.example/webhook/other"

    def page(*entries: tuple[str, str]) -> JSONResponse:
        jobs = [{"id": name, "state": "queued", "request": {"callback_url": url}} for name, url in entries]
        return JSONResponse({"generations": jobs})

    provider.answers = [page(("1", other)), page(("2", other), ("3", mine)), page(("1", other)), page()]
    async with JobsClient(provider.url, "sk-test-key", profile=profile) as client:
        report = await client.find_job(lost_submit("take", mine))
        missing = await client.find_job(lost_submit("take", mine))

    assert report is not None
    assert report.job_ids == ("3",)
    assert missing is None
    assert [path for _, path, _, _ in provider.requests] == ["/generations"] * 4, "until a page is empty"


LISTING = {"items": "generations", "reference": "hook", "created": "at"}
PAGED = {**LISTING, "get": "/generations?page={page}"}
ONE_PAGE = {**LISTING, "get": "/generations?limit=2"}
LINKED = {**ONE_PAGE, "next": "next"}
NEWER, OLDER = 1_000_500, 999_000


@pytest.mark.parametrize(
    ("listing", "pages", "is_certain"),
    [
        pytest.param(PAGED, [[NEWER], []], True, id="turned to its end"),
        pytest.param(PAGED, [[NEWER]] * 10, False, id="longer than what is read"),
        pytest.param(ONE_PAGE, [[NEWER, OLDER]], True, id="one page that has older jobs"),
        pytest.param(ONE_PAGE, [[NEWER, NEWER]], False, id="one page, and there may be more"),
        pytest.param(ONE_PAGE, [[OLDER, NEWER]], False, id="the oldest first, and there may be newer ones"),
        pytest.param(ONE_PAGE, [[NEWER, None]], False, id="one that does not say when"),
        pytest.param(PAGED, [[]], False, id="nothing that is understood"),
        pytest.param(LINKED, [[NEWER]], True, id="no further page is named"),
        pytest.param({**PAGED, "days": 7}, [[NEWER], []], False, id="a list that forgets after a week"),
        pytest.param(ONE_PAGE, [None], False, id="no list"),
    ],
)
async def test_a_job_counts_as_never_made_only_by_a_list_that_would_show_it(
    provider, listing: dict[str, Any], pages: list[Any], is_certain: bool
) -> None:
    """Else it would be paid for again; a search for one that surely left is told that it is not there."""
    rules = msgspec.convert({"list": listing}, Recover)
    profile = msgspec.structs.replace(load_shipped("luma"), recover=rules)
    never = replace(lost_submit("take"), or_never=True)
    lists = [page and [{"hook": "another", "at": at} for at in page] for page in pages]
    provider.answers = [JSONResponse({"generations": entries}) for entries in lists]
    async with JobsClient(provider.url, "sk-test-key", profile=profile) as client:
        if is_certain:
            assert await client.find_job(never) is None
        else:
            with pytest.raises(UpstreamAnswerUnreadable):
                await client.find_job(never)


async def test_planned_look_ups_share_a_get_where_the_provider_takes_several_ids(provider) -> None:
    """Each gets its own record, or none; one that is in a hurry goes by itself."""
    records = [{"id": "b", "status": "processing"}, {"id": "a", "status": "submitted"}]
    provider.answers = [JSONResponse({"code": 0, "data": records}), JSONResponse({"code": 0, "data": records[:1]})]
    async with JobsClient(provider.url, "sk-test-key", profile=load_shipped("kling")) as client:
        look_ups = [client.get_job(name, is_patient=True) for name in ("a", "b", "c")]
        one, other, absent = await asyncio.gather(*look_ups, return_exceptions=True)
        alone = await client.get_job("b")

    assert (one.state, other.state) == (JobState.QUEUED, JobState.RUNNING)
    assert isinstance(absent, UpstreamRejected)
    assert absent.status == 404
    assert alone.state is JobState.RUNNING
    assert len(provider.requests) == 2


async def test_a_shared_look_up_that_fails_fails_for_all_of_them(provider) -> None:
    """And the next ones are asked again."""
    provider.answers = [JSONResponse({}, 503), JSONResponse({"code": 0, "data": [{"id": "a", "status": "failed"}]})]
    async with JobsClient(provider.url, "sk-test-key", profile=load_shipped("kling")) as client:
        look_ups = [client.get_job(name, is_patient=True) for name in ("a", "b")]
        errors = await asyncio.gather(*look_ups, return_exceptions=True)
        again = await client.get_job("a", is_patient=True)

    assert [type(error) for error in errors] == [UpstreamUnavailable, UpstreamUnavailable]
    assert again.state is JobState.FAILED
