"""The tour, abroad: the same film at six providers, each of which calls back, refuses and fails in its own way."""

import asyncio
import base64
import io
import time
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from framerelay.runs.tokens import TakeAddress
from framerelay.sandbox import Faults
from framerelay.store.processes import Presence, Process, processes

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
KEY = "sk-sandbox"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"only for tests, and long enough!").decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exactly(Faults):
    """Faults that strike what is named, and nothing else."""

    hits: frozenset[tuple[str, ...]] = frozenset()

    def strikes(self, switch: str, *what: object) -> bool:
        return (switch, *map(str, what)) in self.hits


@dataclass(frozen=True, slots=True, kw_only=True)
class Abroad:
    """
    One provider: its lines in ``framerelay.yaml``, the model of the first shot and of those that follow.

    ``files``: profiles beside the settings. ``source``: how a frame is handed on. ``person_is_asked``: how often only a
    person can go on: where a refused text needs another one, and where nobody can say what came of a submit.
    """

    lines: str
    model: str
    next_model: str | None = None
    fields: Json = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    source: str = "inline"
    calls_back: bool = True
    is_found: bool = False
    person_is_asked: int = 0


PROVIDERS = {
    "jobs": Abroad(lines="{{profile: jobs, url: '{url}', key_env: SANDBOX_KEY}}", model="seedance", source="upload"),
    "ark": Abroad(lines="{{url: '{url}/ark/api/v3'}}", model="doubao-seedance-1-5-pro-251215"),
    "fal": Abroad(
        lines="{{profile: ./fal.yaml, url: '{url}/fal', key_env: FAL_KEY}}",
        model="bytedance/seedance-2.0/text-to-video",
        next_model="bytedance/seedance-2.0/image-to-video",
        files={
            "fal.yaml": """
profile: 1
id: fal-here
extends: fal
media: {{upload: {{kind: put_url, post: "/storage/upload/initiate?storage_type=gcs"}}}}
callback: {{signature: {{scheme: fal, options: {{jwks_url: "{url}/fal/.well-known/jwks.json"}}}}}}
"""
        },
        source="upload",
        person_is_asked=1,
    ),
    "kling": Abroad(lines="{{url: '{url}/kling'}}", model="kling-3.0", is_found=True),
    "hailuo": Abroad(lines="{{url: '{url}/hailuo'}}", model="MiniMax-Hailuo-02", fields={"duration": 6}),
    "runway": Abroad(
        lines="{{profile: ./runway.yaml, url: '{url}/runway/v1', key_env: RUNWAYML_API_SECRET}}",
        model="seedance2",
        fields={"ratio": "4:3"},
        files={"runway.yaml": "profile: 1\nid: runway-here\nextends: runway\npoll: {{first_s: 0.1, every_s: 0.1}}\n"},
        source="upload",
        calls_back=False,
        person_is_asked=1,
    ),
}
KEYS = ("SANDBOX_KEY", "ARK_API_KEY", "FAL_KEY", "KLING_API_KEY", "MINIMAX_API_KEY", "RUNWAYML_API_SECRET")


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each provider's key where its own tools look for it, and pauses of the search at a tenth."""
    for name in KEYS:
        monkeypatch.setenv(name, KEY)
    monkeypatch.delenv("KLING_WEBHOOK_SECRET", raising=False)
    monkeypatch.setattr("framerelay.runs.takes.FIND_AGAIN_S", (0.2, 60.0))


def settle(folder: Path, url: str, *names: str) -> None:
    """Write ``framerelay.yaml`` for the providers of these *names*, all of them at the sandbox at *url*."""
    lines = [f"  {name}: {PROVIDERS[name].lines.format(url=url)}" for name in names]
    (folder / "framerelay.yaml").write_text("\n".join(["providers:", *lines, ""]), encoding="utf-8")
    for name in names:
        for file, text in PROVIDERS[name].files.items():
            (folder / file).write_text(text.format(url=url), encoding="utf-8")


def board(name: str, shots: int = 3) -> Json:
    one = PROVIDERS[name]
    made_shots = [{"id": f"s{number}", "prompt": f"a car, {number}"} for number in range(1, shots + 1)]
    for shot in made_shots[1:]:
        shot |= {"model": one.next_model} if one.next_model else {}
    return {"title": name, "provider": name, "model": one.model, "defaults": one.fields, "shots": made_shots}


async def picture(provider: Any, url: str) -> Image.Image:
    async with httpx.AsyncClient(trust_env=False) as http:
        content = (await http.get(f"{provider.url}/sandbox/inputs/{url.rpartition('/')[2]}")).content
    return Image.open(io.BytesIO(content)).convert("RGB")


async def assert_exact(provider: Any, relay: Any, run: Json, jobs: list[Json]) -> None:
    """What a provider was given as the first frame of a shot is the last frame of the clip before, pixel for pixel."""
    by_id = {job["id"]: job for job in jobs}
    takes = [(shot["id"], next(take for take in shot["takes"] if take["status"] == "done")) for shot in run["shots"]]
    assert len(takes) == len(run["shots"])
    for (shot, take), (_, following) in pairwise(takes):
        picture_given = await picture(provider, by_id[following["job_id"]]["given"]["first_frame"]["kept_url"])
        name = f"{shot}.{take['number']}.last.png"
        frame = Image.open(relay.settings.data_dir / "media" / run["id"] / name).convert("RGB")
        assert (picture_given.size, picture_given.tobytes()) == (frame.size, frame.tobytes())


async def gone_on(relay: Any, run_id: str) -> tuple[Json, int]:
    """The run when it has succeeded, and how often a person had to ask for a new take."""
    questions = 0
    async with asyncio.timeout(90):
        while (run := await relay.wait_for_end(run_id))["status"] != "succeeded":
            stuck = [shot["id"] for shot in run["shots"] if needs_somebody(shot)]
            if stuck:
                questions += 1
                assert questions <= 3, run["error"]
                answer = await relay.api.post(
                    f"/v1/runs/{run_id}/shots/{stuck[0]}/retake", json={"prompt": "a calm car"}
                )
                assert answer.status_code == 200, answer.text
            await asyncio.sleep(0.02)
    return run, questions


def needs_somebody(shot: Json) -> bool:
    return shot["status"] == "failed" or any(take["question"] for take in shot["takes"])


# Submit 1 is refused for its rate. Job 1 (the first shot) ends without a word. Job 2 (the second) is moderated. Job 3,
# its new take, is accepted by a submit that breaks. Job 4 says three times that it is done.
TROUBLE = {
    ("rate_limit", "1"),
    ("lose", "1", "succeeded"),
    ("moderate", "2"),
    ("accept_then_500", "3"),
    ("repeat", "4", "succeeded"),
}
NOTHING_OF_JOB_3 = {("lose", "3", word) for word in ("queued", "running", "succeeded")}


@pytest.mark.parametrize("name", PROVIDERS)
async def test_three_shots_through_every_trouble(
    name: str, start_provider: Any, start_relay: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A lost and a repeated callback, a moderated clip, a 429 and a cut submit: each job is one take, none is paid twice.

    Where nothing calls back, the job of the cut submit is found by our own reference; where there is none either, a
    person is asked.
    """
    monkeypatch.setenv("KLING_WEBHOOK_SECRET", WEBHOOK_SECRET)
    one = PROVIDERS[name]
    hits = TROUBLE | (NOTHING_OF_JOB_3 if one.is_found else set())
    options = {"faults": Exactly(hits=frozenset(hits)), "webhook_secret": WEBHOOK_SECRET}
    waits = {"lookup_after_s": 1.0} | ({} if one.calls_back else {"ask_after_s": 0.1})
    async with start_provider(options=options) as provider:
        settle(tmp_path, provider.url, name)
        async with start_relay(provider.url, **waits) as relay:
            run, is_asked = await gone_on(relay, await relay.run(board(name)))
            journal = await provider.journal()
            await assert_exact(provider, relay, run, journal["jobs"])
            callbacks = (await relay.api.get("/v1/callbacks")).json()["data"]

    jobs, takes = journal["jobs"], [take for shot in run["shots"] for take in shot["takes"]]
    submit = journal["submits"][0]
    assert submit["job_id"] is None
    assert run["spent"] == {"jobs": len(jobs)} == {"jobs": len(takes)}
    assert {take["job_id"] for take in takes if take["job_id"]} <= {job["id"] for job in jobs}
    assert [job["dialect"] for job in jobs] == [name] * len(jobs)
    assert {one.source} == {take["first_frame"]["source"] for shot in run["shots"][1:] for take in shot["takes"]}
    assert [outcome["outcome"] for job in jobs for outcome in job["callbacks"] if outcome["tries"]].count(200) == len(
        [outcome for job in jobs for outcome in job["callbacks"] if outcome["tries"]]
    )
    assert is_asked == one.person_is_asked
    assert bool(callbacks) == one.calls_back
    assert {callback["outcome"] for callback in callbacks} <= {"accepted", "late"}
    if not one.calls_back:
        assert (run["callbacks_missed"], run["warnings"]) == (0, [])
    if one.is_found:
        assert all(outcome["outcome"] == "lost on purpose" for outcome in jobs[2]["callbacks"])
        assert jobs[2]["id"] in {take["job_id"] for take in takes}


async def test_the_test_callback_of_a_console_is_answered_as_it_wants_and_kept(
    start_provider: Any, start_relay: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names no job of ours, and may be unsigned; about one of ours only what is signed is taken."""
    monkeypatch.setenv("KLING_WEBHOOK_SECRET", WEBHOOK_SECRET)
    async with start_provider(options={"webhook_secret": WEBHOOK_SECRET}) as provider:
        settle(tmp_path, provider.url, "kling")
        async with start_relay(provider.url) as relay:
            run = await relay.wait_for_end(await relay.run(board("kling", shots=1)))
            address = TakeAddress(
                run_id=run["id"], shot_id="s1", take=1, ends_at=int(time.time()) + 60, provider="kling"
            )
            path, job_id = f"/webhook/{relay.tokens.mint(address)}", run["shots"][0]["takes"][0]["job_id"]
            test = {"id": "913827032734642185", "status": "submitted", "outputs": [], "message": ""}
            answers = [await relay.api.post(path, json={**test, "id": each}) for each in (test["id"], job_id)]
            callbacks = (await relay.api.get("/v1/callbacks")).json()["data"]

    assert [answer.status_code for answer in answers] == [200, 401]
    assert [each["outcome"] for each in callbacks][:2] == ["quarantined", "quarantined"]


@pytest.mark.parametrize(("free", "amount"), [("[failed]", 0.5), ("[]", 1.0)])
async def test_a_failed_job_that_is_not_billed_leaves_its_money_for_another(
    start_provider: Any, start_relay: Any, tmp_path: Path, free: str, amount: float
) -> None:
    """By what the profile says of it; where it says nothing, what was put aside for it counts as spent."""
    price = "price: {currency: USD, per_clip: 0.5}"
    mine = f"profile: 1\nid: mine\nextends: kling\nbilling: {{free: {free}}}\nmodels: {{kling-3.0: {{{price}}}}}\n"
    (tmp_path / "mine.yaml").write_text(mine, encoding="utf-8")
    faults = Exactly(hits=frozenset({("moderate", "1")}))
    board = {"provider": "mine", "model": "kling-3.0", "shots": [{"id": "s1", "prompt": "a"}]}
    async with start_provider(options={"faults": faults}) as provider:
        lines = f"{{profile: ./mine.yaml, url: '{provider.url}/kling'}}"
        (tmp_path / "framerelay.yaml").write_text(ONE_LINE.format(line=lines), encoding="utf-8")
        async with start_relay(provider.url) as relay:
            run = await relay.wait_for_end(await relay.run(board))

    assert len(run["shots"][0]["takes"]) == 2
    assert (run["status"], run["cost"]["spent"]) == ("succeeded", amount), run["error"]


ONE_LINE = "providers: {{mine: {line}}}\n"


async def generating(relay: Any, provider: Any, run_id: str) -> None:
    """Until the first shot's job is known here, and done there."""
    async with asyncio.timeout(90):
        while (await relay.view(run_id))["shots"][0]["status"] != "generating":
            await asyncio.sleep(0.02)
        while (await provider.journal())["jobs"][0]["state"] != "succeeded":
            await asyncio.sleep(0.02)


async def test_a_take_is_asked_for_where_it_was_submitted_whatever_the_settings_say_by_now(
    start_provider: Any, provider_in: Any, start_relay: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider's name means another one by now, with another key; only the next shot goes there."""
    monkeypatch.setenv("FAL_KEY", "sk-fal")
    settings = tmp_path / "framerelay.yaml"
    elsewhere = {"key": "sk-fal", "faults": Exactly(hits=frozenset({("lose", "1", "succeeded")}))}
    made_board = board("kling", shots=2) | {"provider": "mine"}
    made_board["shots"][0]["model"] = "bytedance/seedance-2.0/text-to-video"
    async with provider_in(tmp_path / "fal", options=elsewhere) as fal, start_provider() as kling:
        settings.write_text(ONE_LINE.format(line=f"{{profile: fal, url: '{fal.url}/fal'}}"), encoding="utf-8")
        async with start_relay(kling.url, lookup_after_s=900.0) as relay:
            run_id = await relay.run(made_board)
            await generating(relay, fal, run_id)
        settings.write_text(ONE_LINE.format(line=f"{{profile: kling, url: '{kling.url}/kling'}}"), encoding="utf-8")
        async with start_relay(kling.url, lookup_after_s=900.0) as relay:
            run = await relay.wait_for_end(run_id)
        there, here = await fal.journal(), await kling.journal()

    assert run["status"] == "succeeded", run["error"]
    assert [job["dialect"] for job in there["jobs"]] == ["fal"]
    assert [job["dialect"] for job in here["jobs"]] == ["kling"]
    assert run["spent"] == {"jobs": 2}


async def test_a_provider_without_a_key_holds_up_its_own_shots_alone(
    start_provider: Any, start_relay: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It went missing in flight: a person is asked, by a sentence that names the variable; with it, the run goes on."""
    monkeypatch.delenv("VOLC_API_KEY", raising=False)
    keyless = {"id": "keyless", "provider": "ark", "model": PROVIDERS["ark"].model}
    scenes = [
        {**keyless, "shots": [{"id": "a1", "prompt": "x"}, {"id": "a2", "prompt": "y"}]},
        {"id": "keyed", "shots": [{"id": "k1", "prompt": "x"}, {"id": "k2", "prompt": "y"}]},
    ]
    board = {"title": "two", "provider": "kling", "model": "kling-3.0", "scenes": scenes}
    async with start_provider() as provider:
        settle(tmp_path, provider.url, "ark", "kling")
        async with start_relay(provider.url, worker=False) as relay:
            run_id = await relay.run(board)
        monkeypatch.delenv("ARK_API_KEY")
        async with start_relay(provider.url) as relay:
            held_run = await relay.wait_for_end(run_id)
        monkeypatch.setenv("ARK_API_KEY", KEY)
        async with start_relay(provider.url) as relay:
            assert (await relay.api.post(f"/v1/runs/{run_id}/resume")).status_code == 200
            run = await relay.wait_for_end(run_id)

    assert [shot["status"] for shot in held_run["shots"]][2:] == ["done", "done"]
    assert held_run["spent"] == {"jobs": 2}
    assert (held_run["status"], held_run["error"]["family"], held_run["error"]["code"]) == (
        "waiting",
        "account",
        "key_missing",
    )
    assert "ARK_API_KEY" in held_run["error"]["message"]
    assert run["status"] == "succeeded", run["error"]


async def test_a_run_for_which_a_key_is_missing_is_not_started(
    start_provider: Any,
    start_relay: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Any,
    redis: Any,
    presence: None,
) -> None:
    """Its first shot would be paid for in vain; it is refused in the words of the plan, and nothing is kept of it."""
    for name in ("ARK_API_KEY", "VOLC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    made_board = board("kling", shots=2)
    made_board["shots"][1] |= {"provider": "ark", "model": PROVIDERS["ark"].model}
    async with start_provider() as provider:
        settle(tmp_path, provider.url, "kling")
        async with start_relay(provider.url) as relay:
            await wait_until(partial(a_worker_is_seen, redis), "the worker says that it is there")
            response = await relay.api.post("/v1/runs", json=made_board)
            warnings = (await relay.api.post("/v1/plan", json=made_board)).json()["warnings"]
            runs = (await relay.api.get("/v1/runs")).json()["data"]
            submits = (await provider.journal())["submits"]

    error = response.json()["error"]
    assert (response.status_code, error["code"], runs, submits) == (422, "key_missing", [], [])
    assert error["message"].startswith("ark has no key here: set ARK_API_KEY")
    assert any(each["message"].startswith(error["message"]) for each in warnings)


async def a_worker_is_seen(redis: Any) -> bool:
    return any(each.part == "worker" for each in await processes(redis))


@pytest.mark.parametrize(
    ("report", "is_started"),
    [
        (None, True),
        ({"keyed": None}, True),
        ({"keyed": ["ark"]}, True),
        ({"keyed": [], "key_variables": ["ARK_API_KEY"]}, True),
        ({"keyed": ["kling"], "key_variables": ["KLING_API_KEY"]}, False),
    ],
    ids=["no worker", "an older one", "configured there", "in its variable", "without it"],
)
async def test_whether_there_is_a_key_the_workers_say(
    start_relay: Any, redis: Any, monkeypatch: pytest.MonkeyPatch, report: Json | None, is_started: bool
) -> None:
    """A receiver of its own may have none, and is no reason to refuse: it never submits anything."""
    monkeypatch.setattr("framerelay.receiver.provider_keys.READ_WITHIN_S", 0.5)
    for name in ("ARK_API_KEY", "VOLC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    async with start_relay("http://127.0.0.1:9", worker=False) as relay:
        if report is not None:
            elsewhere = Process(part="worker", host="elsewhere", pid=1, version="0", marks={}, fixed=[], **report)
            await Presence(redis, lambda: elsewhere).announce()
        answer = await relay.api.post("/v1/runs", json=board("ark", shots=1))

    assert answer.status_code == (201 if is_started else 422), answer.text


async def test_two_accounts_at_one_provider_are_two(
    start_provider: Any, start_relay: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the same address, by the same profile, each is asked under its own key."""
    monkeypatch.setenv("SECOND_KEY", "sk-another")
    async with start_provider() as provider:
        address = f"profile: kling, url: '{provider.url}/kling'"
        lines = f"providers: {{first: {{{address}}}, second: {{{address}, key_env: SECOND_KEY}}}}\n"
        (tmp_path / "framerelay.yaml").write_text(lines, encoding="utf-8")
        async with start_relay(provider.url) as relay:
            first = await relay.wait_for_end(await relay.run(board("kling", shots=1) | {"provider": "first"}))
            second = await relay.wait_for_end(await relay.run(board("kling", shots=1) | {"provider": "second"}))

    assert first["status"] == "succeeded", first["error"]
    assert (second["status"], second["error"]["family"], second["spent"]) == ("waiting", "account", {"jobs": 0})
