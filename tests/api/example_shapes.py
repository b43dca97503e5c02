"""Runs as the API shows them, with all that they have and a test does not care about."""

from typing import Any

import msgspec

from framerelay.api import shapes

VIDEO = {
    "url": "http://x/media/run_x/s1.1.mp4",
    "sha256": "",
    "bytes": 10,
    "width": 2,
    "height": 2,
    "duration_s": 1.0,
    "frames": 24,
    "notes": [],
}
FILM = {
    "url": "u",
    "sha256": None,
    "bytes": 10,
    "duration_s": 1.0,
    "frames": 24,
    "copied": True,
    "reason": None,
    "takes": None,
    "warnings": [],
}


def a_take(status: str, **more: Any) -> shapes.Take:
    """A take of that status."""
    plain = {
        **{"number": 1, "status": status, "job_id": None, "seed": None, "submitted": 0.0, "rendered": None},
        **{"called_back": False, "next_look": 0.0, "usual_s": None, "provider_status": "running"},
        **{"provider_status_known": True, "error": None, "question": None, "twin_of": None, "video": None},
        **{"first_frame": None, "last_frame": None, "provider_frame": None, "opening": None, "seam": None},
    }
    return msgspec.convert({**plain, **more}, shapes.Take)


def a_shot(name: str, status: str, *takes: shapes.Take, **more: Any) -> shapes.Shot:
    """A shot with those takes."""
    plain = {
        **{"id": name, "scene": "scene", "from": "continue", "source": None, "status": status, "prompt": None},
        **{"gate": None, "approved": False, "picked": None, "set_aside": 0, "takes_wanted": 1, "pick": None},
        **{"stale": False, "continued": False, "held_by": None, "next_try": None, "error": None},
    }
    return msgspec.convert({**plain, "takes": msgspec.to_builtins(takes), **more}, shapes.Shot)


def a_run(status: str, *shots: shapes.Shot, **more: Any) -> shapes.Run:
    """A run of those shots."""
    plain = {
        **{"id": "run_x", "object": "run", "title": "Rain", "model": "m", "status": status, "revision": 1},
        **{"created": 0, "updated": 0, "hook": None, "budget": {"jobs": None}, "spent": {"jobs": 1}},
        **{"submits_to_come": 0, "callbacks_missed": 0, "warnings": [], "film": None, "error": None},
    }
    return msgspec.convert({**plain, "shots": msgspec.to_builtins(shots), **more}, shapes.Run)
