"""What `doctor` says of the settings and the data folder."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Secret

from framerelay.cli.doctor.finding import Status
from framerelay.cli.doctor.local import look_at_data, look_at_settings
from framerelay.cli.doctor.network import reach_of
from framerelay.config.settings import Settings
from tests.cli.doctor.looking import assert_finding


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"public_url": "http://relay.example.com"},
            "FRAMERELAY_PUBLIC_URL = http://relay.example.com is not encrypted",
        ),
        ({"public_url": "https://127.0.0.1:8443"}, "leads to this machine itself"),
        ({"public_url": "http://192.168.1.5:8080"}, "leads into a private network"),
        ({"upstream_url": "http://api.example.com"}, "the key travels readable"),
        ({"secret": Secret("tiny-1")}, "FRAMERELAY_SECRET: it is shorter than 20 characters"),
        ({"api_key": (Secret("tiny-1"),)}, "FRAMERELAY_API_KEY: it is shorter than 20 characters"),
        ({"read_key": (Secret("changeme-changeme-changeme"),)}, "FRAMERELAY_READ_KEY: it is made of words"),
    ],
)
async def test_weak_settings_are_named(fields: dict[str, Any], words: str) -> None:
    """One warning each, and never the secret itself."""
    sound = {"upstream_url": "https://api.example.com", "public_url": "https://relay.example.com"}
    assert [each.status for each in await look_at_settings(Settings(**sound))] == [Status.OK]  # type: ignore[arg-type]

    (finding,) = await look_at_settings(Settings(**{**sound, **fields}))
    assert_finding(finding, Status.WARN, words)
    assert not {"tiny-1", "changeme"} & set(f"{finding.message}{finding.advice}".split())


@pytest.mark.anyio
async def test_a_provider_next_door_may_call_next_door() -> None:
    """The sandbox, or a gateway in the same network: private addresses are as good as any, and need no TLS."""
    for upstream, public in (
        ("http://127.0.0.1:8090", "http://127.0.0.1:8080"),
        ("http://gateway:8000", "http://10.0.0.2:8080"),
        ("http://10.0.0.1", "http://relay:8080"),
    ):
        hosts = frozenset({upstream.removeprefix("http://")})
        settings = Settings(upstream_url=upstream, public_url=public, trusted_hosts=hosts)
        assert [each.status for each in await look_at_settings(settings)] == [Status.OK]
        (finding,) = await look_at_settings(replace(settings, trusted_hosts=frozenset()))
        assert_finding(finding, Status.WARN, "clips that", "FRAMERELAY_TRUSTED_HOSTS=")
    assert reach_of("https://203.0.113.9") < reach_of("https://8.8.8.8")


@pytest.mark.anyio
async def test_misspelt_variables_and_a_bad_settings_file_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in a line of its own; the file would stop the start, so it fails."""
    monkeypatch.setenv("FRAMERELAY_PUBLIC_UR", "https://relay.example.com")
    (tmp_path / "framerelay.yaml").write_text("hook: {}\n")
    settings = Settings(config_file=tmp_path / "framerelay.yaml", ca_file=tmp_path / "none.pem")
    typo, authorities, file = await look_at_settings(settings)

    assert_finding(authorities, Status.FAIL, "FRAMERELAY_CA_FILE")
    assert_finding(typo, Status.WARN, "did you mean FRAMERELAY_PUBLIC_URL?")
    assert_finding(file, Status.FAIL, "framerelay.yaml", "hook")


@pytest.mark.anyio
async def test_a_hook_that_the_worker_would_not_start_with_is_reported(tmp_path: Path) -> None:
    """Its messages would go to a private address, which only a trusted host may have."""
    file = tmp_path / "framerelay.yaml"
    file.write_text("hooks: {night: {notify_url: 'http://127.0.0.1:9/done'}}\n")
    trusting = Settings(config_file=file, trusted_hosts=["127.0.0.1:9"], api_key=["k" * 43])
    assert_finding(
        (await look_at_settings(Settings(config_file=file)))[-1], Status.FAIL, "framerelay.yaml", "notify_url"
    )
    assert not [finding for finding in await look_at_settings(trusting) if finding.status is Status.FAIL]


@pytest.mark.anyio
async def test_a_proof_that_the_receiver_would_not_start_with_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its secret is missing; a mistake that hooks and proofs share is reported once; a secret that is there."""
    file = tmp_path / "framerelay.yaml"
    settings = Settings(config_file=file, trusted_hosts=frozenset({"bad/host"}))
    file.write_text("verify: {scheme: hmac, header: X-Signature}\n")
    assert_finding(
        (await look_at_settings(settings))[-1], Status.FAIL, "framerelay.yaml", "secret_env", "the receiver does not"
    )
    file.write_text("verify: {scheme: hmac, header: X-Signature, secret_env: HOOK_SECRET}\nhook: {}\n")
    settings = replace(settings, trusted_hosts=frozenset())
    both, proof = await look_at_settings(settings)
    assert_finding(both, Status.FAIL, "hook", "nothing starts")
    assert_finding(proof, Status.FAIL, "the variable HOOK_SECRET is not set")
    assert "hook:" not in proof.message

    file.write_text("verify: {scheme: hmac, header: X-Signature, secret_env: HOOK_SECRET}\n")
    monkeypatch.setenv("HOOK_SECRET", "c2VjcmV0IHNlY3JldCBzZWNyZXQ=")
    assert [each.status for each in await look_at_settings(settings)] == [Status.OK]


@pytest.mark.anyio
async def test_a_data_folder_that_is_a_file_or_full_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clips and callbacks would have no place. A full disk is pretended: filling one takes another file system."""
    (tmp_path / "file").write_text("")
    assert_finding(await look_at_data(Settings(data_dir=tmp_path / "file")), Status.FAIL, "it is not a folder")
    assert_finding(await look_at_data(Settings(data_dir=tmp_path / "new" / "data")), Status.OK, "can be made")
    assert not (tmp_path / "new").exists()
    for free, status in ((1 << 30, Status.WARN), (1 << 20, Status.FAIL)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: shutil._ntuple_diskusage(9, 9, free))  # type: ignore[attr-defined]
        assert_finding(await look_at_data(Settings(data_dir=tmp_path)), status, "are free", "free some space")
