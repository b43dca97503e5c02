"""What `doctor` says of the receiver and the provider."""

import ssl
from dataclasses import replace
from typing import Any

import pytest

from framerelay.cli.doctor.finding import Status
from framerelay.cli.doctor.peers import look_at_receiver, look_at_upstream
from framerelay.cli.doctor.providers import look_at_providers
from framerelay.config.settings import Settings
from tests.cli.doctor.looking import NOWHERE, SECRET_KEY, assert_finding, impostor


@pytest.mark.anyio
async def test_another_program_on_the_port_is_no_receiver() -> None:
    """Whatever it answers; and a port where nobody listens has a sentence of its own."""
    async with impostor("200 OK\n\n<html>hello") as place:
        assert_finding(
            await look_at_receiver(Settings(url=f"http://{place}")), Status.FAIL, "not as a FrameRelay receiver"
        )
    assert_finding(await look_at_receiver(Settings(url=NOWHERE)), Status.FAIL, "refuses connections", "framerelay up")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (
            '404 Not Found\n\n{"error": {"code": "not_found", "message": "no such job"}}',
            Status.WARN,
            "the same to a wrong key",
        ),
        ('401 Unauthorized\n\n{"error": {"message": "bad key"}}', Status.FAIL, "FRAMERELAY_UPSTREAM_KEY"),
        ('403 Forbidden\n\n{"error": {"message": "bad key"}}', Status.FAIL, "refuses the key"),
        ("404 Not Found\n\n<html>nginx", Status.WARN, "does not answer as the jobs API"),
        ("200 OK\n\n<html>welcome", Status.FAIL, "not as the jobs API"),
        ('200 OK\n\n{"id": "j", "status": "succeeded"}', Status.WARN, "a job that cannot exist"),
        ("302 Found\nLocation: https://elsewhere.test/\n\n", Status.FAIL, "leads elsewhere"),
        ("503 Service Unavailable\n\n", Status.FAIL, "out of order"),
        ("429 Too Many Requests\n\n{}", Status.WARN, "asks us to wait"),
    ],
)
async def test_what_the_provider_answers_is_read(answer: str, status: Status, words: str) -> None:
    """To a look-up that costs nothing: a job that cannot exist. A 404 alone proves no key: any path may get one."""
    async with impostor(answer) as place:
        assert_finding(
            await look_at_upstream(Settings(upstream_url=f"http://{place}", upstream_key=SECRET_KEY)), status, words
        )


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ("404 Not Found\n\n<html>nginx", Status.WARN, "the address may be a wrong one"),
        ('404 Not Found\n\n{"code": 1203, "message": "task not found"}', Status.OK, "takes the key"),
        ('401 Unauthorized\n\n{"code": 1002, "message": "bad key"}', Status.FAIL, "refuses the key"),
    ],
)
async def test_what_a_provider_of_a_profile_answers_is_read(
    answer: str, status: Status, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 404 that says nothing of a job may come from any address."""
    monkeypatch.delenv("KLING_API_KEY", raising=False)
    async with impostor(answer) as place:
        settings = Settings(provider="kling", upstream_url=f"http://{place}", upstream_key=SECRET_KEY)
        findings = await look_at_providers(settings)
        assert isinstance(findings, list)
        assert_finding(findings[0], status, words)


@pytest.mark.anyio
async def test_a_key_is_right_if_a_wrong_one_is_refused(start_provider: Any) -> None:
    """Asked for a job that cannot exist, with each; nothing is submitted."""
    async with start_provider() as provider:
        settings = Settings(upstream_url=provider.url, upstream_key=SECRET_KEY)
        assert_finding(await look_at_upstream(settings), Status.OK, "takes the key")
        assert_finding(
            await look_at_upstream(replace(settings, upstream_url=f"{provider.url}/v1")), Status.OK, "takes the key"
        )
        assert_finding(
            await look_at_upstream(replace(settings, upstream_url=f"{provider.url}/api")), Status.WARN, "path /api"
        )
        assert (await provider.journal())["submits"] == []
    unknown = '404 Not Found\n\n{"error": {"code": "not_found", "message": "no such job"}}'
    async with impostor(unknown, "503 Service Unavailable\n\n") as place:
        unsure = await look_at_upstream(replace(settings, upstream_url=f"http://{place}"))
    assert_finding(unsure, Status.WARN, "did not answer a second time")


@pytest.mark.anyio
async def test_a_provider_that_cannot_be_reached_says_why(tls: ssl.SSLContext) -> None:
    """A dead port, a certificate that nobody vouches for, and no address at all."""
    assert_finding(
        await look_at_upstream(Settings(upstream_url=NOWHERE, upstream_key=SECRET_KEY)), Status.FAIL, "refuses connec"
    )
    async with impostor("200 OK\n\n", tls=tls) as place:
        strange = await look_at_upstream(Settings(upstream_url=f"https://{place}", upstream_key=SECRET_KEY))
        assert_finding(strange, Status.FAIL, "certificate", "FRAMERELAY_CA_FILE")
    assert_finding(
        await look_at_upstream(Settings(upstream_url=NOWHERE)), Status.FAIL, "FRAMERELAY_UPSTREAM_KEY is not set"
    )
