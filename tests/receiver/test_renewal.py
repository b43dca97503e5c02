"""Keys and secrets of a receiver that runs: others count as soon as they are read again."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Secret

from framerelay.config.env_file import SettingInvalid
from framerelay.config.keys import load_keys, refuse_weak_keys
from framerelay.config.live import LiveSettings
from framerelay.config.settings import Settings, from_environment
from framerelay.runs.tokens import TakeAddress

pytestmark = pytest.mark.anyio

FIRST, SECOND, READER = "fr_test", "fr_another-key-of-ours", "fr_a-key-that-may-read"
RUN = "run_" + "a" * 24


@dataclass(slots=True)
class EnvFile:
    """What is read again."""

    secrets: dict[str, tuple[Secret, ...]] = field(default_factory=dict)

    def read(self, settings: Settings) -> Settings:
        return replace(settings, **{"api_key": (Secret(FIRST),), **self.secrets})  # type: ignore[arg-type]


@pytest.fixture
def env_file() -> EnvFile:
    """Nothing changed yet."""
    return EnvFile()


async def read_again(relay: Any, key: str = FIRST) -> None:
    """As a person brings it about who resumes a run; that there is nothing to resume does not matter."""
    board = {"model": "m", "shots": [{"id": "s1", "prompt": "a", "gate": "approve"}]}
    relay.api.headers["Authorization"] = f"Bearer {key}"
    run_id = await relay.run(board)
    assert (await relay.api.post(f"/v1/runs/{run_id}/resume")).status_code in (200, 409)


async def test_other_keys_open_and_former_ones_close(start_relay: Any, env_file: EnvFile) -> None:
    """A session that began with a key that is gone is over, too."""

    async def opens(key: str) -> bool:
        answer = await relay.api.get("/v1/runs", headers={"Authorization": f"Bearer {key}"})
        return bool(answer.status_code == 200)

    async with start_relay("http://127.0.0.1:9", worker=False, read=env_file.read, api_key=(Secret(FIRST),)) as relay:
        assert [await opens(key) for key in (FIRST, SECOND, READER)] == [True, False, False]
        own = {"Origin": relay.settings.listen_url, "Sec-Fetch-Site": "same-origin"}
        session = (await relay.api.post("/login", data={"key": FIRST}, headers=own)).cookies
        env_file.secrets = {"api_key": (Secret(SECOND), Secret(FIRST)), "read_key": (Secret(READER),)}
        await read_again(relay)
        assert [await opens(key) for key in (FIRST, SECOND, READER)] == [True, True, True]

        env_file.secrets = {"api_key": (Secret(SECOND),)}
        await read_again(relay)
        assert [await opens(key) for key in (FIRST, SECOND, READER)] == [False, True, False]
        del relay.api.headers["Authorization"]
        cookie = "; ".join(f"{name}={value}" for name, value in session.items())
        assert (await relay.api.get("/v1/runs", headers={"Cookie": cookie})).status_code == 401


async def test_secrets_of_callbacks_are_read_again(
    start_relay: Any, env_file: EnvFile, tmp_path: Path, take_token: Callable[[Any], str]
) -> None:
    """What was held under a wrong secret can be released without a restart; mistakes leave what was there."""
    config, secret = tmp_path / "framerelay.yaml", tmp_path / "secret"
    config.write_text("verify: {scheme: static, header: x-token, secret_file: ./secret}\n")
    secret.write_text("mistyped\n")

    async def call(token: str, job: str) -> int:
        answer = await relay.api.post(take_token(relay), json={"id": job}, headers={"x-token": token})
        return int(answer.status_code)

    async with start_relay("http://127.0.0.1:9", worker=False, read=env_file.read, api_key=(Secret(FIRST),)) as relay:
        assert [await call("mistyped", "job_1"), await call("the right one", "job_2")] == [200, 401]
        secret.write_bytes("\ufeffthe right one\r\n".encode())
        (record,) = (await relay.api.post("/v1/callbacks/release")).json()["data"]
        assert record["released"], record
        assert [await call("mistyped", "job_3"), await call("the right one", "job_4")] == [401, 200]

        config.write_text("verify: {scheme: nonsense}\n")
        await read_again(relay)
        assert await call("the right one", "job_5") == 200
        text = (await relay.api.get("/v1/callbacks")).text
        assert "the right one" not in text
        assert "mistyped" not in text


@pytest.fixture
def take_token() -> Callable[[Any], str]:
    """The path of the callbacks of a take."""
    return lambda relay: "/webhook/" + relay.tokens.mint(TakeAddress(run_id=RUN, shot_id="s1", take=1))


async def test_a_weak_key_is_not_taken_over_where_others_reach_us(tmp_path: Path) -> None:
    """As at a start; what was read before stays as a whole."""
    strong = Secret("fr_kW7pZq2vXc9Lr4TyB8nM")
    settings = Settings(public_url="https://relay.example.com", api_key=(strong,), secret=strong, data_dir=tmp_path)
    box = {"key": "weak", "upstream": "sk-2"}
    live = LiveSettings(
        settings,
        load_keys(settings),
        read=lambda: replace(settings, api_key=(Secret(box["key"]),), upstream_key=Secret(box["upstream"])),
        check=refuse_weak_keys,
    )
    with pytest.raises(SettingInvalid):
        refuse_weak_keys(replace(settings, api_key=(Secret("weak"),)))
    await live.read_again()
    assert (live.settings, live.keys.api_key) == (settings, strong)
    box["key"] = "fr_kW7pZq2vXc9Lr4TyB8nN"
    await live.read_again()
    assert (str(live.keys.api_key), str(live.settings.upstream_key)) == (box["key"], "sk-2")


async def test_only_what_may_change_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port, a folder and the secret that signs addresses stay until the next start."""
    monkeypatch.chdir(tmp_path)
    for name in ("FRAMERELAY_UPSTREAM_KEY", "FRAMERELAY_PORT", "FRAMERELAY_SECRET"):
        monkeypatch.delenv(name, raising=False)
    env = tmp_path / ".env"
    env.write_text("FRAMERELAY_UPSTREAM_KEY=sk-1\nFRAMERELAY_PORT=9001\nFRAMERELAY_SECRET=one\n")
    settings = from_environment({})
    live = LiveSettings(settings, load_keys(settings), read=lambda: from_environment({}))
    keys: list[str] = []

    async def take(settings: Settings, _: object) -> None:
        keys.append(str(settings.upstream_key))

    live.on_change(take)
    env.write_text("FRAMERELAY_UPSTREAM_KEY=sk-2\nFRAMERELAY_PORT=9002\nFRAMERELAY_SECRET=two\n")
    await live.read_again()

    assert (str(live.settings.upstream_key), live.settings.port, str(live.keys.secret)) == ("sk-2", 9001, "one")
    env.write_bytes(b"\xff")
    await live.read_again()
    assert keys == ["sk-2"]


async def test_a_resume_that_changes_nothing_says_that_keys_were_read(start_relay: Any, env_file: EnvFile) -> None:
    """They may be what it was meant for: a run that is going on takes them with its next submit."""
    board = {"model": "m", "shots": [{"id": "s1", "prompt": "a", "gate": "approve"}]}
    async with start_relay("http://127.0.0.1:9", worker=False, read=env_file.read, api_key=(Secret(FIRST),)) as relay:
        relay.api.headers["Authorization"] = f"Bearer {FIRST}"
        answer = await relay.api.post(f"/v1/runs/{await relay.run(board)}/resume")

    assert answer.status_code == 409
    assert answer.json()["error"]["message"].endswith("settings and keys were read again")
