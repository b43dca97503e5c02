"""A film from plan to result, as an assistant makes it; and what it may not do."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from framerelay.cli.mcp.server import create_server

pytestmark = pytest.mark.anyio

KEY = "fr_test"
SECRET = "only for tests"
TWO = {
    "title": "Rain",
    "model": "seedance-1.5-pro-720p",
    "shots": [{"id": "s1", "prompt": "a car"}, {"id": "s2", "prompt": "closer", "gate": "approve"}],
}
ONE: dict[str, Any] = {"title": "One", "model": "seedance-1.5-pro-720p", "shots": [{"id": "s1", "prompt": "a car"}]}


def frames_in(picture: str) -> int:
    """How many pictures are on a strip: what is not paper, in pieces too large for letters and outlines, row by row."""
    sheet = Image.open(io.BytesIO(base64.b64decode(picture)))
    assert sheet.format == "PNG"
    assert sheet.width <= 1204
    assert sheet.height <= 1548
    filled = np.abs(np.asarray(sheet.convert("RGB")).astype(int) - [24, 24, 27]).sum(axis=2) > 12
    frames = 0
    for top in range(12, sheet.height, 128):
        columns = np.concatenate([[False], filled[top : top + 96].sum(axis=0) > 50, [False]])
        edges = np.flatnonzero(columns[1:] != columns[:-1])
        frames += int((edges[1::2] - edges[::2] > 40).sum())
    return frames


@pytest.fixture
def at_work(mcp: Any, start_provider: Any, start_relay: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``async with at_work() as (provider, relay, assistant)``: an assistant beside a relay that makes films."""

    @asynccontextmanager
    async def begin() -> AsyncIterator[tuple[Any, Any, Any]]:
        async with (
            start_provider() as provider,
            start_relay(provider.url) as relay,
            mcp.in_process(relay.settings.listen_url, monkeypatch, API_KEY=KEY) as assistant,
        ):
            yield provider, relay, assistant

    return begin


async def test_a_whole_film_from_plan_to_result(
    mcp: Any, start_provider: Any, start_relay: Any, tmp_path: Path
) -> None:
    """Plan for nothing, start within a limit, approve, watch the strip grow, open the film without a key."""
    async with (
        start_provider() as provider,
        start_relay(provider.url) as relay,
        mcp.by_stdio(tmp_path, relay.settings.listen_url, API_KEY=KEY, SECRET=SECRET) as assistant,
    ):
        plan = await assistant.ask("plan_film", storyboard=TWO)
        assert (plan["jobs"], plan["longest_chain"], plan["shots"][1]["begins_with"]) == (2, 2, "s1")
        assert (await provider.journal())["submits"] == []

        film = await assistant.ask("start_film", storyboard=TWO, plan_id=plan["plan_id"], max_jobs=3)
        assert film["jobs_allowed"] == 3
        run = film["run"]
        again = await assistant.ask("start_film", storyboard=TWO, plan_id=plan["plan_id"], max_jobs=3)
        assert again["run"] == run

        waiting = await assistant.until(run, "waiting")
        assert "approve_shot" in " ".join(waiting["next"])
        await wait_for_openings(relay, run, 1)
        look = await assistant.call("film_status", run=run)
        frames = frames_in(mcp.picture_of(look))
        assert look.structuredContent["strip"] == f"{frames} frames of s1, s2"
        assert frames == 2

        await assistant.ask("approve_shot", run=run, shot="s2")
        done_film = await assistant.until(run, "succeeded")
        assert done_film["jobs_spent"] == 2
        await wait_for_openings(relay, run, 2)
        look = await assistant.call("film_status", run=run)
        assert frames_in(mcp.picture_of(look)) == 4

        result = await assistant.ask("film_result", run=run)
        assert [clip["shot"] for clip in result["clips"]] == ["s1", "s2"]
        assert result["links_end"]
        async with httpx.AsyncClient(trust_env=False) as stranger:
            for file in (result["film"], result["clips"][0]["video"]):
                answer = await stranger.get(file["url"])
                assert (answer.status_code, len(answer.content)) == (200, file["bytes"])


async def start(assistant: Any, board: dict[str, Any], *, max_jobs: int) -> str:
    """The film of *board*, planned and started."""
    plan = (await assistant.ask("plan_film", storyboard=board))["plan_id"]
    run: str = (await assistant.ask("start_film", storyboard=board, plan_id=plan, max_jobs=max_jobs))["run"]
    return run


async def wait_for_openings(relay: Any, run_id: str, clips: int) -> None:
    """Waits for the first frames of *clips* clips, which are taken a moment after their last ones."""
    async with asyncio.timeout(60):
        while clips > sum(
            bool(take["opening"]) for shot in (await relay.view(run_id))["shots"] for take in shot["takes"]
        ):
            await asyncio.sleep(0.05)


async def test_nothing_is_spent_without_the_plan_of_this_storyboard(
    mcp: Any, start_provider: Any, start_relay: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No id, another's id, a storyboard that was changed, no limit, mistakes: a sentence each, and no submit."""
    async with (
        start_provider() as provider,
        start_relay(provider.url, worker=False) as relay,
        mcp.in_process(relay.settings.listen_url, monkeypatch, API_KEY=KEY) as assistant,
    ):
        plan = (await assistant.ask("plan_film", storyboard=ONE))["plan_id"]
        other_board = {**ONE, "shots": [{"id": "s1", "prompt": "a lorry"}]}
        for arguments, words in (
            ({"storyboard": ONE, "max_jobs": 1}, "plan_id: Field required"),
            ({"storyboard": ONE, "max_jobs": 1, "plan_id": ""}, "call plan_film first"),
            ({"storyboard": ONE, "max_jobs": 1, "plan_id": "plan_" + "0" * 24}, "plan it again"),
            ({"storyboard": other_board, "max_jobs": 1, "plan_id": plan}, "plan it again"),
            ({"storyboard": ONE, "plan_id": plan}, "max_jobs: Field required"),
            ({"storyboard": ONE, "max_jobs": 0, "plan_id": plan}, "max_jobs: Input should be greater"),
            ({"storyboard": {**ONE, "shots": []}, "max_jobs": 1, "plan_id": plan}, "shots: "),
        ):
            assert words in await assistant.refusal("start_film", **arguments), arguments
        text = await assistant.refusal("film_status", run="run_x")
        assert "there is no run run_x; list_films lists them" in text  # No command: it has tools.
        assert "there is no run '../x'" in await assistant.refusal("film_result", run="../x")
        assert (await relay.api.get("/v1/runs")).json()["data"] == []


async def test_a_limit_is_kept_and_the_film_says_so(at_work: Any) -> None:
    """One job is paid, however much the storyboard would need; a second start raises no limit."""
    board = {**TWO, "shots": [{"id": "s1", "prompt": "a car"}, {"id": "s2", "prompt": "closer"}]}
    async with at_work() as (provider, relay, assistant):
        run = await start(assistant, board, max_jobs=1)
        waiting = await assistant.until(run, "waiting")
        [line] = (await assistant.ask("list_films"))["films"]
        assert (line["run"], line["status"]) == (run, "waiting")
        assert f"framerelay resume {run} --budget JOBS" in " ".join(waiting["next"])
        assert [words for words in waiting["next"] if not words.endswith(".")] == [], "a sentence without its stop"
        assert await start(assistant, board, max_jobs=9) == run
        assert (await assistant.ask("film_status", run=run))["jobs_allowed"] == 1
        [needy] = (await assistant.ask("list_films", search=board["title"], needs_person=True))["films"]
        assert needy["run"] == run
        assert (await assistant.ask("list_films", labels={"project": "none"}))["films"] == []
        assert len((await provider.journal())["submits"]) == 1

        result = await assistant.ask("film_result", run=run)
        assert (result["film"], result["links_end"]) == (None, None)
        assert (relay.settings.data_dir / "media" / run / "s1.1.mp4").is_file()
        assert (await assistant.ask("cancel_film", run=run))["status"] == "cancelled"


async def test_a_film_is_amended_once_within_the_limit_that_was_agreed_to(at_work: Any) -> None:
    """Read its storyboard, change it, ask, confirm: only what is new is paid for, and a repeat is refused."""
    async with at_work() as (provider, _, assistant):
        run = await start(assistant, ONE, max_jobs=1)
        await assistant.until(run, "succeeded")
        board = (await assistant.ask("film_storyboard", run=run))["storyboard"]
        assert (board["shots"], board["budget"]) == (ONE["shots"], {"jobs": 1})
        board = {**board, "budget": {"jobs": 9}, "shots": [*board["shots"], {"id": "s2", "prompt": "closer"}]}
        outlook = await assistant.ask("amend_film", run=run, storyboard=board)
        confirm = {"run": run, "storyboard": board, "outlook_id": outlook["outlook_id"]}
        other = {**board, "shots": [{"prompt": "a field"}, *board["shots"]]}
        assert (outlook["begun"], outlook["keep"], outlook["add"], outlook["jobs"]) == (False, ["s1"], ["s2"], 1)
        assert "ask the person" in await assistant.refusal("amend_film", **confirm, max_jobs=0)
        assert "look again" in await assistant.refusal("amend_film", **{**confirm, "storyboard": other}, max_jobs=9)
        assert len((await provider.journal())["submits"]) == 1
        assert (await assistant.ask("amend_film", **confirm, max_jobs=1))["begun"]
        film = await assistant.until(run, "succeeded")
        assert "look again" in await assistant.refusal("amend_film", **confirm, max_jobs=1)
        submits = (await provider.journal())["submits"]

    assert (film["jobs_allowed"], film["jobs_spent"], len(submits)) == (2, 2, 2)


async def test_a_film_goes_on_within_a_larger_limit(at_work: Any) -> None:
    """The whole limit is given, what was spent before included; the same one again changes nothing."""
    board = {**TWO, "shots": [{"id": "s1", "prompt": "a car"}, {"id": "s2", "prompt": "closer"}]}
    async with at_work() as (provider, _, assistant):
        run = await start(assistant, board, max_jobs=1)
        await assistant.until(run, "waiting")

        assert "budget" in await assistant.refusal("continue_film", run=run, max_jobs=1)
        assert (await assistant.ask("continue_film", run=run, max_jobs=2))["jobs_allowed"] == 2
        await assistant.until(run, "succeeded")
        assert len((await provider.journal())["submits"]) == 2


async def test_a_retake_is_priced_first_and_paid_once(at_work: Any) -> None:
    """The outlook is free; its id and a limit do it; the same confirmation again is refused, and so is another's."""
    async with at_work() as (provider, _, assistant):
        run = await start(assistant, ONE, max_jobs=5)
        await assistant.until(run, "succeeded")

        outlook = await assistant.ask("retake_shot", run=run, shot="s1", prompt="from above")
        assert (outlook["begun"], outlook["jobs"], outlook["stale"], outlook["budget_left"]) == (False, 1, [], 4)
        confirm = {"run": run, "shot": "s1", "prompt": "from above", "outlook_id": outlook["outlook_id"]}
        assert "ask the person" in await assistant.refusal("retake_shot", **confirm)
        other = {**confirm, "prompt": "from below", "max_jobs": 1}
        assert "look again" in await assistant.refusal("retake_shot", **other)
        assert len((await provider.journal())["submits"]) == 1

        assert (await assistant.ask("retake_shot", **confirm, max_jobs=1))["begun"]
        await assistant.until(run, "succeeded")
        assert "look again" in await assistant.refusal("retake_shot", **confirm, max_jobs=1)
        assert len((await provider.journal())["submits"]) == 2

        back = await assistant.ask("pick_take", run=run, shot="s1", take=1)
        assert back["shots"][0]["picked"] == 1


async def test_a_retake_of_a_shot_named_by_its_beginning_is_confirmed_once(at_work: Any) -> None:
    """Whatever was typed, a take more makes it another outlook."""
    board = {**ONE, "shots": [{"id": "opening", "prompt": "a car"}]}
    async with at_work() as (provider, _, assistant):
        run = await start(assistant, board, max_jobs=5)
        await assistant.until(run, "succeeded")
        outlook = await assistant.ask("retake_shot", run=run, shot="open")
        confirm = {"run": run, "shot": "open", "outlook_id": outlook["outlook_id"], "max_jobs": 1}
        assert (await assistant.ask("retake_shot", **confirm))["begun"]
        await assistant.until(run, "succeeded")
        assert "look again" in await assistant.refusal("retake_shot", **confirm)
        assert len((await provider.journal())["submits"]) == 2


async def test_a_draft_is_promoted_after_an_outlook_and_once(at_work: Any) -> None:
    """The final is a film of its own; the same confirmation again spends nothing."""
    board = {**ONE, "pass": "draft", "shots": [{"id": "s1", "prompt": "a car", "resolution": "720p"}]}
    async with at_work() as (provider, _, assistant):
        draft = await start(assistant, board, max_jobs=3)
        ready = await assistant.until(draft, "succeeded")
        assert "promote_film makes the final of it" in " ".join(ready["next"])

        outlook = await assistant.ask("promote_film", run=draft)
        assert (outlook["begun"], outlook["run"], outlook["jobs"]) == (False, None, 1)
        confirm = {"run": draft, "outlook_id": outlook["outlook_id"]}
        assert "ask the person" in await assistant.refusal("promote_film", **confirm)
        assert "look again" in await assistant.refusal("promote_film", run=draft, outlook_id="outlook_x", max_jobs=1)
        final = await assistant.ask("promote_film", **confirm, max_jobs=1)
        again = await assistant.ask("promote_film", **confirm, max_jobs=2)
        assert (final["begun"], again["run"]) == (True, final["run"])
        await assistant.until(final["run"], "succeeded")
        assert "is not a draft" in await assistant.refusal("promote_film", run=final["run"])
        jobs = (await provider.journal())["jobs"]
    assert [job["input"]["resolution"] for job in jobs] == ["480p", "720p"]


async def test_only_pictures_of_the_named_folder_are_handed_over(
    mcp: Any, start_provider: Any, start_relay: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an assistant writes opens no other file; with no folder named, none."""
    folder = tmp_path / "refs"
    folder.mkdir()
    for file in (folder / "street.png", tmp_path / "private.png"):
        Image.new("RGB", (640, 360), (200, 30, 30)).save(file)
    (folder / "link.png").symlink_to(tmp_path / "private.png")

    def board(name: str) -> dict[str, Any]:
        return {**ONE, "shots": [{"id": "s1", "prompt": "a car", "first_frame": name}]}

    async with start_provider() as provider, start_relay(provider.url, worker=False) as relay:
        url = relay.settings.listen_url
        async with mcp.in_process(url, monkeypatch, pictures=folder, API_KEY=KEY) as assistant:
            await assistant.ask("plan_film", storyboard=board("street.png"))
            for outside in ("../private.png", str(tmp_path / "private.png"), "link.png"):
                words = await assistant.refusal("plan_film", storyboard=board(outside))
                assert f"is not in {folder}" in words, outside
        async with mcp.in_process(url, monkeypatch, API_KEY=KEY) as assistant:
            words = await assistant.refusal("plan_film", storyboard=board("refs/street.png"))
            assert "give a URL, or start the server with --pictures FOLDER" in words


async def test_a_receiver_that_is_not_running_is_a_sentence(mcp: Any, tmp_path: Path) -> None:
    """The server starts all the same, and says how to start the receiver."""
    async with mcp.by_stdio(tmp_path, "http://127.0.0.1:9", API_KEY=KEY) as assistant:
        assert "start one with `framerelay up`" in await assistant.refusal("film_status", run="run_1")


async def test_a_wrong_key_says_where_the_right_one_is(
    mcp: Any, start_relay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sentence that a person can act on."""
    async with (
        start_relay("http://127.0.0.1:9", worker=False) as relay,
        mcp.in_process(relay.settings.listen_url, monkeypatch, API_KEY="fr_another") as assistant,
    ):
        words = await assistant.refusal("plan_film", storyboard=ONE)
        assert "has another API key" in words
        assert "FRAMERELAY_API_KEY" in words


async def test_an_argument_that_no_tool_has_is_refused(mcp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the nearest that there is, before anything is asked of the receiver; the schemas say so, too."""
    async with mcp.in_process("http://127.0.0.1:9", monkeypatch) as assistant:
        for tool in (await assistant.session.list_tools()).tools:
            assert tool.inputSchema["additionalProperties"] is False, tool.name
            words = await assistant.refusal(tool.name, updated_after="2026")
            assert 'unknown argument "updated_after"' in words, tool.name
        near = await assistant.refusal("retake_shot", run="run_1", shot="s1", promt="x")
        none = await assistant.refusal("cancel_film", run="run_1", prompt="x")

    assert near == 'unknown argument "promt" (did you mean "prompt"?)'
    assert none == 'unknown argument "prompt"; known here: run'


def test_clients_get_our_version() -> None:
    """Not that of the library that speaks for us."""
    options = create_server(None)._mcp_server.create_initialization_options()
    assert (options.server_name, options.server_version) == ("FrameRelay", version("framerelay"))


async def test_every_tool_explains_itself_and_says_what_it_may_do(mcp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Descriptions, typed answers, and hints by which a client asks before money is spent."""
    async with mcp.in_process("http://127.0.0.1:9", monkeypatch) as assistant:
        tools = {tool.name: tool for tool in (await assistant.session.list_tools()).tools}

    assert all(tool.description and tool.outputSchema and tool.title for tool in tools.values())
    reading = {name for name, tool in tools.items() if tool.annotations.readOnlyHint}
    destroying = {name for name, tool in tools.items() if tool.annotations.destructiveHint}
    assert reading == {"plan_film", "list_films", "film_status", "film_storyboard", "film_result"}
    assert destroying == {"retake_shot", "amend_film", "cancel_film"}
    assert tools.keys() == reading | destroying | {
        "start_film",
        "approve_shot",
        "pick_take",
        "continue_film",
        "promote_film",
    }
    assert {"storyboard", "plan_id", "max_jobs"} == set(tools["start_film"].inputSchema["required"])
    shots = tools["plan_film"].inputSchema["properties"]["storyboard"]["properties"]["shots"]
    assert "gate" in shots["items"]["properties"]
