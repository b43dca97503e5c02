"""`run`, `runs`, `show` and a person's decisions, as typed."""

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tests.api.example_shapes import a_run

CHAIN = """
title: 霓虹雨夜
model: seedance-1.5-pro-720p
budget: {jobs: 6}
shots:
  - {id: s1, prompt: 跑车驶过街道}
  - {id: s2, prompt: 镜头拉近}
"""
WATCHFUL = """
import sys
from framerelay.cli import watch
watch.ASK_EVERY_S = 0.01
from framerelay.cli.main import main
sys.exit(main())
"""
FIVE_MISTAKES = """
title: Rain
model: seedance-1.5-pro-720p
budjet: {jobs: 6}
defaults: {duration: five}
shots:
  - {id: s1, promt: a car}
  - {id: s2, prompt: closer, from: s9}
  - {id: s2, prompt: again}
"""


def test_a_watched_run_ends_with_the_place_of_its_film(relay: Any) -> None:
    """Piped, `run --watch` prints a line per change, says where the film is in its last line, and exits with 0."""
    result = relay.run("run", relay.write("chain.yaml", CHAIN), "--watch")
    assert (result.code, result.err) == (0, "")
    assert re.fullmatch(r"run: run_[a-z0-9]+", result.out.splitlines()[0])
    assert re.search(r" s  s1 (being submitted|generating|fetching)", result.out), "whatever it was seen doing"
    assert re.search(r" s  s2 done: .*begins with s1's last frame", result.out)
    film = Path(result.last.removeprefix("film: "))
    assert film.is_absolute()
    assert film.stat().st_size > 1000


def test_json_is_alone_on_standard_output(relay: Any) -> None:
    """With --json a program can read standard output whole: the run, the list, the callbacks."""
    result = relay.run("run", relay.write("chain.yaml", CHAIN), "--watch", "--json")
    run = json.loads(result.out)
    assert (result.code, run["object"], run["status"]) == (0, "run", "succeeded")
    assert "s2 done" in result.err
    started_run = json.loads(relay.run("run", "chain.yaml", "--json").out)
    assert started_run["status"] == "running"
    assert json.loads(relay.run("cancel", started_run["id"], "--json").out)["status"] == "cancelled"
    runs = json.loads(relay.run("runs", "--json", "--limit", "200").out)["data"]
    assert {run["id"], started_run["id"]} <= {each["id"] for each in runs}
    callbacks = json.loads(relay.run("callbacks", "--json", "--limit", "200").out)["data"]
    assert run["id"] in {each["run"] for each in callbacks}


def test_a_run_that_is_only_started_can_be_listed_shown_and_watched_later(relay: Any) -> None:
    """`run` returns at once with the id; `runs` has it first, `show --watch` follows it from anywhere."""
    result = relay.run("run", "-", input=CHAIN)
    assert (result.code, result.out.count("\n")) == (0, 1)
    run_id = result.out.removeprefix("run: ").strip()
    first = relay.run("runs", "--limit", "1").out
    assert first.startswith(run_id)
    assert "霓虹雨夜" in first
    watched_result = relay.run("show", run_id, "--watch")
    assert (watched_result.code, watched_result.last[:6]) == (0, "film: ")
    shown_result = relay.run("show", run_id)
    assert shown_result.last == watched_result.last
    assert "succeeded: 2 of 2 shots, 2 of 6 jobs" in shown_result.out
    assert re.search(rf"{run_id} +s2 take 1", relay.run("callbacks").out)


def test_five_mistakes_are_five_lines(relay: Any) -> None:
    """A bad storyboard is exit 2 with the place of every mistake; nothing is started."""
    before = relay.run("runs", "--json").out
    result = relay.run("run", relay.write("bad.yaml", FIVE_MISTAKES), "--watch")
    assert (result.code, result.out) == (2, "")
    lines = result.err.splitlines()
    assert len(lines) == 5, result.err
    assert all(re.match(r"framerelay: line \d+, [a-z]+[\w.\[\]]*: ", line) for line in lines)
    assert relay.run("runs", "--json").out == before


def test_a_storyboard_that_cannot_be_read_is_one_sentence(relay: Any) -> None:
    """No file, no YAML, no picture, a file that is not a picture: exit 2 and one line with the place."""
    board = "title: x\nmodel: m\nshots:\n  - {id: s1, prompt: a, first_frame: %s}\n"
    relay.write("fake.png", "not a picture at all")
    cases = {
        "nowhere.yaml": "nowhere.yaml: no such file",
        relay.write("broken.yaml", "shots: [{id: s1"): "this is not YAML",
        relay.write("none.yaml", board % "./no.png"): "shots[0].first_frame: there is no file ./no.png",
        relay.write("fake.yaml", board % "./fake.png"): "shots[0].first_frame: ./fake.png: the file is not a PNG",
    }
    for name, words in cases.items():
        result = relay.run("run", name)
        assert (result.code, result.out) == (2, ""), name
        assert words in result.sentence


def test_a_run_waits_for_approval_and_for_a_pick(relay: Any, tools: Any) -> None:
    """Waiting is exit 4 and says whose turn it is and what to type; after it the run goes on to its film."""
    board = """
    model: seedance-1.5-pro-720p
    shots:
      - {id: s1, prompt: one}
      - {id: s2, prompt: two, gate: approve, takes: 2}
    """
    waiting = relay.run("run", relay.write("gate.yaml", board), "--watch")
    run_id = waiting.out.splitlines()[0].removeprefix("run: ")
    assert waiting.code == 4
    assert f"your turn: framerelay approve {run_id} s2\n    then 2 new submits to its end" in waiting.out
    frame = re.search(r"s2 begins with (/.*\.png)", waiting.out)
    assert frame
    assert Path(frame[1]).read_bytes().startswith(b"\x89PNG")

    result = relay.run("approve", run_id, "s2")
    assert (result.code, result.err[:46]) == (0, "it goes on from what is there: 2 new submits t")
    picking = relay.run("show", run_id, "--watch")
    assert picking.code == 4
    assert f"your turn: framerelay pick {run_id} s2 TAKE" in picking.out
    assert all(Path(path).is_file() for path in re.findall(r"take \d: (/.*)", picking.out))

    assert relay.run("pick", run_id, "s2", "7").code == 1
    assert relay.run("pick", run_id, "s2", "2").code == 0
    assert relay.run("show", run_id, "--watch").code == 0
    again = relay.run("pick", run_id, "s2", "2")
    assert (again.code, again.sentence) == (1, "take 2 of shot s2 is picked already")
    assert relay.view(run_id)["shots"][1]["picked"] == 2


def test_a_spent_budget_is_exit_3(relay: Any) -> None:
    """The budget is hard, and differs from waiting for a person."""
    result = relay.run("run", relay.write("poor.yaml", CHAIN.replace("jobs: 6", "jobs: 1")), "--watch")
    assert result.code == 3
    assert "the budget of 1 job is spent" in result.out
    run_id = result.out.splitlines()[0].removeprefix("run: ")
    assert f"your turn: framerelay resume {run_id} --budget JOBS" in result.out
    assert relay.run("resume", run_id, "--money", "0").code == 1
    more = relay.run("resume", run_id, "--budget", "6")
    assert (more.code, "it goes on from what is there: " in more.err) == (0, True)
    assert relay.view(run_id)["budget"] == {"jobs": 6}
    relay.run("cancel", run_id)  # Unless it is over already.


def test_a_cancelled_run_is_exit_5_and_submits_nothing_more(relay: Any, provider: Any) -> None:
    """`cancel` takes effect at once; cancelling again says so, and a job that was under way is kept."""
    board = CHAIN.replace("{id: s2,", "{id: s2, gate: approve,")  # Else it may be over before it is cancelled.
    run_id = relay.run("run", relay.write("chain.yaml", board)).out.removeprefix("run: ").strip()
    assert "cancelled" in relay.run("cancel", run_id).out
    again = relay.run("cancel", run_id)
    assert (again.code, again.sentence) == (1, "the run was cancelled already")
    assert relay.run("show", run_id, "--watch").code == 5
    result = relay.run("approve", run_id, "s2")
    assert (result.code, "cancelled" in result.sentence) == (1, True)
    assert relay.view(run_id)["spent"]["jobs"] <= 1, "of two shots"


def test_a_run_that_has_ended_can_be_removed_and_one_that_goes_on_cannot(relay: Any) -> None:
    """`remove` takes the run and its files; a run that goes on is refused, with what to do first."""
    board = "title: t\nmodel: m\nshots: [{id: s1, prompt: 雨夜, gate: approve}]\n"
    run_id = relay.run("run", relay.write("gated.yaml", board)).out.removeprefix("run: ").strip()
    result = relay.run("remove", run_id)
    assert (result.code, "cancel it first" in result.sentence) == (1, True)

    relay.run("cancel", run_id)
    assert relay.run("remove", run_id).out == f"removed {run_id} and its files\n"
    assert "there is no run" in relay.run("show", run_id).sentence
    assert "there is no run" in relay.run("remove", run_id).sentence


def test_what_is_not_there_is_one_sentence(relay: Any) -> None:
    """Ids that name nothing, or that are no ids, never become another address."""
    for words in (["show", "run_x"], ["show", "../callbacks", "--watch"], ["cancel", ""], ["approve", "run_x", "a/b"]):
        result = relay.run(*words)
        assert (result.code, result.out) == (1, ""), words
        assert "there is no" in result.sentence


def test_the_wrong_api_key_and_a_missing_receiver_say_what_to_set(relay: Any, tools: Any) -> None:
    """One sentence with the variable to correct, exit 1."""
    assert "FRAMERELAY_API_KEY" in relay.having(API_KEY="wrong").run("runs").sentence
    lonely = relay.having(PORT=tools.free_port()).run("run", relay.write("chain.yaml", CHAIN), "--watch")
    assert (lonely.code, lonely.out) == (1, "")
    assert "there is no receiver at http://127.0.0.1:" in lonely.sentence
    assert "framerelay up" in lonely.sentence
    stranger = relay.having(URL=relay.settings["FRAMERELAY_UPSTREAM_URL"]).run("runs")
    assert "is this a FrameRelay receiver?" in stranger.sentence


def test_a_reader_that_goes_away_is_no_traceback(relay: Any) -> None:
    """`| head -1` gets its line; a closed or full output is an exit code, not a traceback."""
    relay.run("run", relay.write("chain.yaml", CHAIN))
    for script in ('"$0" runs | head -1', '"$0" runs | true', '"$0" runs >&-', '"$0" runs > /dev/full || true'):
        command = ["bash", "-c", script, str(Path(sys.executable).with_name("framerelay"))]
        process = subprocess.run(
            command, cwd=relay.folder, env=relay.environ, capture_output=True, text=True, check=False
        )
        assert process.returncode == 0, script
        assert "Traceback" not in process.stderr, script
        assert "Exception ignored" not in process.stderr, script


def test_a_full_page_of_runs_is_a_line_each(relay: Any) -> None:
    """Two hundred runs, newest first; a title cannot steer the terminal that lists it."""
    board = {"title": "rain \x1b[31m", "model": "m", "shots": [{"prompt": "a", "gate": "approve"}]}
    key = (relay.folder / "data" / "api_key").read_text().strip()
    url = f"http://127.0.0.1:{relay.settings['FRAMERELAY_PORT']}/v1/runs"
    with httpx.Client(headers={"Authorization": f"Bearer {key}"}, trust_env=False) as http:
        ids = [http.post(url, json=board).json()["id"] for _ in range(201)]
    result = relay.run("runs", "--limit", "200")
    assert result.code == 0
    assert [line.split()[0] for line in result.out.splitlines()] == ids[:0:-1]
    assert "\x1b" not in result.out
    assert "older ones" in result.err


def test_a_start_whose_answer_is_lost_is_repeated_with_the_same_key(shell: Any) -> None:
    """The receiver may have started the run before the line broke; a second run would be paid for twice."""
    keys: list[str | None] = []

    def break_off_once(request: BaseHTTPRequestHandler) -> bytes | None:
        keys.append(request.headers["Idempotency-Key"])
        return msgspec.json.encode(a_run("running")) if len(keys) == 2 else None

    with _answering(break_off_once) as url:
        result = shell.having(URL=url).run("run", "-", input=CHAIN)
    assert (result.code, result.out) == (0, "run: run_x\n")
    assert len(keys) == 2
    assert keys[0] == keys[1] is not None


def test_an_answer_of_another_version_says_what_was_done_and_what_to_look_at(shell: Any) -> None:
    """Fields that are new are passed over, one that is missing is named; nobody is to start a second run for it."""
    run = msgspec.to_builtins(a_run("running"))
    later = msgspec.json.encode({**run, "mood": "new"})
    earlier = msgspec.json.encode({name: value for name, value in run.items() if name != "revision"})
    with _answering(lambda _: later) as url:
        assert shell.having(URL=url).run("run", "-", input=CHAIN).out == "run: run_x\n"
    with _answering(lambda _: earlier) as url:
        result = shell.having(URL=url).run("run", "-", input=CHAIN)
    assert (result.code, result.out) == (1, "")
    assert "`revision`" in result.sentence
    assert "what was asked is done; is it a FrameRelay receiver of the same version?" in result.sentence


@contextmanager
def _answering(answer: Callable[[BaseHTTPRequestHandler], bytes | None]) -> Iterator[str]:
    """A server that answers each POST with 201 and what *answer* says; with None it just closes the connection."""

    class Server(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = answer(self)
            if body is None:
                return
            self.send_response(201)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Not on our standard error."""

    with HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_ctrl_c_ends_the_watching_and_not_the_run(relay: Any, tools: Any) -> None:
    """Exit 130, no traceback, and a sentence that says how to see it again; the run ends by itself."""
    watching = relay.start("run", relay.write("chain.yaml", CHAIN), "--watch")
    run_id = watching.stdout.readline().removeprefix("run: ").strip()
    watching.send_signal(signal.SIGINT)
    _, err = watching.communicate(timeout=90)
    assert watching.returncode == 130
    assert err.strip() == f"The run goes on. To see it again: framerelay show {run_id} --watch"
    tools.wait_for(lambda: relay.view(run_id)["status"] == "succeeded", "the run ends without us")


def test_a_terminal_shows_what_happens_and_what_comes_next(relay: Any) -> None:
    """
    On 80 columns: state in words, seconds, the usual time, what is next; in the end the film's whole address.

    A job is as short as the pause between two polls, so it polls more often here.
    """
    watchful = replace(relay, program=(sys.executable, "-c", WATCHFUL))
    screen, code = watchful.on_a_terminal("run", relay.write("chain.yaml", CHAIN), "--watch")
    assert code == 0
    assert re.search(r"▸ s1 (generating|queued)", screen)
    assert "· s2 waits for the last frame of s1" in screen
    assert re.search(r"next: a callback about s1 \(else a look-up in .*\), then shot s2", screen)
    assert "succeeded: 2 of 2 shots, 2 of 6 jobs" in screen
    film = re.search(r"film: (/\S+film\.mp4)", screen)
    assert film
    assert Path(film[1]).is_file()
