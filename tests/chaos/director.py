"""The person who changes their mind: decides about runs at random moments, and remembers what they were shown."""

import random
from collections import Counter
from typing import Any, Final

from caller import Caller

OPEN: Final = ("submitting", "generating", "collecting")
RETAKES_MAX: Final = 2  # Of one run: more would only make the storm longer.
AMENDMENTS_MAX: Final = 3
BUDGET: Final = {"jobs": 60}  # So that no amendment ends at the budget, which would be no end of the storm.
WHIMS: Final = 0.2  # The chance of each for every look at a run.


class Director:
    """
    ``look`` at a run as often as you like; now and then that leads to a decision.

    Without *whims* only what a run waits for is decided: an approval, a pick. Every tenth run is cancelled on the way.
    What must hold for anyone who only reads is noted in ``breaches``: `spent` never falls.
    """

    def __init__(self, caller: Caller, *, seed: int, whims: bool) -> None:
        self._caller = caller
        self._dice = random.Random(f"director/{seed}")
        self._whims = whims
        self._retakes: Counter[str] = Counter()
        self._amendments: Counter[str] = Counter()
        self._spending: dict[str, int] = {}
        self._doomed: dict[str, bool] = {}
        self._requests = 0
        self.decisions: Counter[str] = Counter()
        self.cancels: set[str] = set()
        self.breaches: list[str] = []

    def look(self, run: dict[str, Any]) -> bool:
        """At a run as it is shown; whether something was asked for, so that it may go on, though it has ended."""
        requests_before = self._requests
        before = self._spending.get(run["id"], 0)
        self._spending[run["id"]] = jobs = run["spent"]["jobs"]
        if jobs < before:
            self.breaches.append(f"spent fell: {run['id']} had {before} jobs, and has {jobs}")
        code = (run["error"] or {}).get("code")
        for shot in run["shots"]:
            if shot["gate"] and not shot["approved"] and code == "approval_needed":
                self._decide(run, shot, "approve")
            elif code == "pick_needed" and shot["status"] == "waiting":
                self._decide(run, shot, "pick", take=self._dice.choice(_done_takes(shot)))
        if self._whims:
            self._follow_a_whim(run)
        return self._requests > requests_before

    def rest(self) -> None:
        """No whim from now on."""
        self._whims = False

    def _follow_a_whim(self, run: dict[str, Any]) -> None:
        is_doomed = self._doomed.setdefault(run["id"], self._dice.random() < 0.1)
        shot = self._dice.choice(run["shots"])
        takes_done = _done_takes(shot)
        if is_doomed and self._happens() and run["status"] in ("running", "waiting"):
            if self._post(f"/v1/runs/{run['id']}/cancel", {}):
                self.decisions["cancel"] += 1
                self.cancels.add(run["id"])
        elif self._happens() and self._retakes[run["id"]] < RETAKES_MAX and takes_done:
            change = {"prompt": f"again {self._dice.random()}", "following": self._dice.random() < 0.5}
            self._retakes[run["id"]] += self._decide(run, shot, "retake", **change)
        elif self._happens() and self._amendments[run["id"]] < AMENDMENTS_MAX:
            self._amend(run)
        elif self._happens() and len(takes_done) > 1:
            self._decide(run, shot, "pick", take=self._dice.choice(takes_done))
        elif self._happens():
            self._adopt(run, shot)

    def _amend(self, run: dict[str, Any]) -> None:
        """Another storyboard: a prompt is another one, a shot leaves, comes back, is moved, or comes in."""
        board = self._caller.storyboard(run["id"])
        if board is None or "model" not in board:
            return
        self._amendments[run["id"]] += 1
        self._requests += 1
        status = self._caller.decide(f"/v1/runs/{run['id']}/amend", another_storyboard(board, run, self._dice))
        self.decisions["amend"] += status == 200
        if status not in (None, 200, 409, 503):
            self.breaches.append(f"a sound storyboard was refused: {run['id']} answered {status}")

    def _adopt(self, run: dict[str, Any], shot: dict[str, Any]) -> None:
        """Any job of the run, known or not to the shot: mostly refused."""
        jobs = [take["job_id"] for each in run["shots"] for take in each["takes"] if take["job_id"]]
        if jobs:
            body = {"run": run["id"], "shot": shot["id"], "job_id": self._dice.choice(jobs)}
            self.decisions["adopt"] += self._post("/v1/jobs/adopt", body)

    def _happens(self) -> bool:
        return self._dice.random() < WHIMS

    def _decide(self, run: dict[str, Any], shot: dict[str, Any], name: str, **body: Any) -> bool:
        is_taken = self._post(f"/v1/runs/{run['id']}/shots/{shot['id']}/{name}", body)
        self.decisions[name] += is_taken
        return is_taken

    def _post(self, path: str, body: dict[str, Any]) -> bool:
        """Whether it was done, for all that is known: an answer may be lost, and somebody may have been faster."""
        self._requests += 1
        return self._caller.decide(path, body) == 200


def is_going(run: dict[str, Any]) -> bool:
    """Whether a job of it is still followed, whatever became of the run."""
    return any(take["status"] in OPEN for shot in all_shots(run) for take in shot["takes"])


def all_shots(run: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of the film, and those that have left it."""
    return [*run["shots"], *run.get("dropped", ())]


def another_storyboard(board: dict[str, Any], run: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """*board* of *run*, changed in one or two places; no shot has the id of another that was there before."""
    scenes = board.get("scenes") or [{"shots": board["shots"]}]
    scene = dice.choice(scenes)
    for _ in range(dice.randint(1, 2)):
        shots, place = scene["shots"], dice.randrange(len(scene["shots"]))
        match dice.randrange(5):
            case 0:
                shots[place]["prompt"] = f"amended {dice.random()}"
            case 1 if len(shots) > 1:
                shots.pop(place)
            case 2:
                shots.insert(dice.randrange(len(shots) + 1), shots.pop(place))
            case 3:
                shots.insert(place, {"id": f"n{dice.randrange(10**9)}", "prompt": f"added {dice.random()}"})
            case _ if drops := run.get("dropped"):
                back = dice.choice(drops)
                if back["id"] not in [shot["id"] for each in scenes for shot in each["shots"]]:
                    shots.append({"id": back["id"], "prompt": back["prompt"], "from": "cut"})
    return {**board, "budget": BUDGET}


def _done_takes(shot: dict[str, Any]) -> list[int]:
    return [take["number"] for take in shot["takes"] if take["status"] == "done"]
