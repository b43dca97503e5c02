"""Runs in words for a person: what state a shot is in, for how long, and what happens next."""

from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]
MARKS = {"done": "✓", "failed": "✗", "cancelled": "–", "waiting": "?", "pending": "·"}


def one_line(run: Json, *, now: float) -> str:
    """A run in one line: id, status, how far, age, title."""
    done = sum(shot["status"] == "done" for shot in run["shots"])
    age = duration(now - run["created"])
    return f"{run['id']}  {run['status']:<9}  {done}/{len(run['shots'])} shots  {age:>7} ago  {run['title']}"


def describe_run(run: Json, *, now: float) -> str:
    """A run in lines: its head, a line for each shot, and what it waits for or ended with."""
    head = f"{run['title']} · {run['id']} · {run['status']}"
    return "\n".join([head, *(shot_line(run, shot, now=now) for shot in run["shots"]), *endings(run)])


def shot_line(run: Json, shot: Json, *, now: float) -> str:
    """A shot in one line."""
    mark = MARKS.get(shot["status"], "▸")
    return f"  {mark} {shot['id']:<6} {shot_words(run, shot, now=now)}"


def shot_words(run: Json, shot: Json, *, now: float) -> str:
    """What a shot is doing, and since when."""
    take = shot["takes"][-1] if shot["takes"] else None
    nth = f" (take {take['number']})" if take and take["number"] > 1 else ""
    match shot["status"]:
        case "pending":
            return _pending(run, shot)
        case "submitting":
            return f"submitting{nth}"
        case "generating":
            return f"generating{nth}, {duration(now - take['submitted'])}" if take else "generating"
        case "collecting":
            return f"fetching the clip and its last frame{nth}"
        case "done":
            return _done(shot)
        case "waiting":
            return _waiting(shot)
        case "failed":
            return f"failed: {_problem(shot)}"
        case status:
            return str(status)


def endings(run: Json) -> Iterator[str]:
    """What a run waits for, why it failed, where its film is."""
    if run["error"]:
        yield f"  {run['error']['message']}"
    if run["film"]:
        film = run["film"]
        how = "copied without loss" if film["copied"] else f"encoded, since {film['reason']}"
        yield f"  film: {film['duration_s']:.2f} s, {film['bytes'] / 1e6:.1f} MB, {how}: {film['url']}"


def duration(seconds: float) -> str:
    """``8 s``, ``1:20``, ``2 h 05``, ``3 days``."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02}"
    return f"{whole // 3600} h {whole % 3600 // 60:02}" if whole < 172_800 else f"{whole // 86_400} days"


def _pending(run: Json, shot: Json) -> str:
    if shot["held_by"]:
        return f"put off: {shot['held_by']['message']}"
    if run["status"] in ("failed", "cancelled"):
        return "not made"
    return f"waits for the last frame of {shot['source']}" if shot["source"] else "about to be submitted"


def _done(shot: Json) -> str:
    take = next((take for take in shot["takes"] if take["number"] == shot["picked"]), shot["takes"][-1])
    first = take["first_frame"]
    given = f", begun from {_SOURCES[first['source']]}" if first else ""
    video = take["video"]
    return f"done: {video['duration_s']:.2f} s, {video['width']}x{video['height']}{given}"


_SOURCES = {
    "given": "the given picture",
    "provider": "the provider's last frame",
    "upload": "our last frame, uploaded",
    "serve": "our last frame, served",
}


def _waiting(shot: Json) -> str:
    if shot["gate"] and not shot["approved"] and not shot["takes"]:
        return "waits for your approval"
    if shot["takes"] and all(take["status"] != "unsure" for take in shot["takes"]):
        return f"waits for your pick of {len(shot['takes'])} takes"
    return f"waits: {_problem(shot)}"


def _problem(shot: Json) -> str:
    errors = [take["error"] for take in shot["takes"] if take["error"]]
    found = shot["error"] or (errors[-1] if errors else None) or shot["held_by"]
    return str(found["message"]) if found else "the budget is spent"
