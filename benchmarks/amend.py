"""
What does it cost to give a film of 500 shots another storyboard: to say what that would do, and to do it?

The rules alone, in this process: neither Redis nor HTTP. Films of one chain, of a hundred scenes, and of shots that all
look alike, each shot with a take that is done; a shot is put before all others, so that every id moves, or the whole
film is turned around. It is compared with reading such a storyboard, as JSON and as YAML, which is the first step of
each amendment.
"""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from framerelay.runs import events
from framerelay.runs.amend_outlook import amend_outlook
from framerelay.runs.content import content_key
from framerelay.runs.machine import apply
from framerelay.runs.model import FirstFrame, Run, RunId, Shot, Take, TakeStatus, Terms
from framerelay.storyboards.edits import dump_yaml
from framerelay.storyboards.storyboard import read_storyboard, start_run

SHOTS = 500
TURNS = 9
TO_REACH_MS = 100

Scenes = list[list[str]]  # The prompts of each.


def measure() -> dict[str, Any]:
    """Milliseconds, medians, of each film and change."""
    figures = []
    for film, scenes in _films().items():
        for change, other in (("insert", [["new"], *scenes]), ("turn", [scene[::-1] for scene in scenes[::-1]])):
            figures.append({"film": film, "change": change, **_measured(_with_takes(_run(scenes)), _run(other))})
    text = json.dumps(_document(_films()["scenes"]))
    yaml = dump_yaml(json.loads(text))
    return {
        "question": "amend",
        "shots": SHOTS,
        "amendments": figures,
        "read_json_ms": _took_ms(lambda: read_storyboard(text, form="json")),
        "read_yaml_ms": _took_ms(lambda: read_storyboard(yaml, form="yaml")),
        "to_reach_ms": TO_REACH_MS,
    }


def _films() -> dict[str, Scenes]:
    prompts = [f"shot {number}" for number in range(SHOTS - 1)]
    return {
        "chain": [prompts],
        "scenes": [prompts[first : first + 5] for first in range(0, SHOTS - 1, 5)],
        "alike": [["a car"] for _ in prompts],
    }


def _document(scenes: Scenes) -> dict[str, Any]:
    return {"model": "m", "scenes": [{"shots": [{"prompt": prompt} for prompt in scene]} for scene in scenes]}


def _run(scenes: Scenes) -> Run:
    board = read_storyboard(json.dumps(_document(scenes)), form="json")
    return start_run(board, run_id=RunId("run_1"), now=0.0, terms=Terms())


def _with_takes(run: Run) -> Run:
    """With a take of each shot that is done; of clips and frames only what the rules ask for."""
    return run.with_shots(*(replace(shot, picked=1, takes=(_take(run, shot),)) for shot in run.shots))


def _take(run: Run, shot: Shot) -> Take:
    return Take(
        number=1,
        status=TakeStatus.DONE,
        intent="i",
        submitted_at=0.0,
        due_at=0.0,
        job_ids=(f"job_{shot.id}",),
        first_frame=FirstFrame(url="f", source="upload", take=1) if shot.source else None,
        key=content_key(run, shot),
        source=shot.source,
    )


def _measured(run: Run, other: Run) -> dict[str, float]:
    return {
        "outlook_ms": _took_ms(lambda: amend_outlook(run, other, 1.0)),
        "amend_ms": _took_ms(lambda: apply(run, events.Amended(target=other), 1.0)),
    }


def _took_ms(work: Callable[[], object]) -> float:
    times = []
    for _ in range(TURNS):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return round(statistics.median(times), 1)


def main() -> None:
    """One JSON line, one sentence."""
    facts = measure()
    print(json.dumps(facts))
    outlook, amend = (max(each[name] for each in facts["amendments"]) for name in ("outlook_ms", "amend_ms"))
    print(
        f"To say what another storyboard of {SHOTS} shots would do takes {outlook} ms at most, to do it {amend} ms (to "
        f"reach: {TO_REACH_MS} ms each); to read it, {facts['read_json_ms']} ms as JSON and {facts['read_yaml_ms']} ms "
        "as YAML."
    )


if __name__ == "__main__":
    main()
