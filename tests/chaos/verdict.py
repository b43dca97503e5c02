"""What came of a storm: the figures, and every promise that did not hold, in words."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from director import Director, all_shots
from house import House

from framerelay.runs.tokens import TakeAddress, Tokens

FINAL: Final = ("succeeded", "failed", "expired", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``figures`` in the order in which they are printed; no ``breaches``: the storm was weathered."""

    figures: dict[str, object]
    breaches: list[str]


def judge(
    house: House,
    journal: dict[str, Any],
    runs: list[dict[str, Any]],
    callbacks: list[dict[str, Any]],
    director: Director,
) -> Verdict:
    """
    Compare what the sandbox saw, its *journal*, with the *runs* and *callbacks* that FrameRelay shows, and what the
    *director* decided and was shown.
    """
    jobs: list[dict[str, Any]] = journal["jobs"]
    acknowledgments = _acknowledged(jobs)
    losses = missing_callbacks(journal, callbacks)
    takes = [(run, shot, take) for run in runs for shot in all_shots(run) for take in shot["takes"]]
    by_take = _jobs_by_take(jobs)
    twice = paid_twice(journal)
    job_ids = {job_id for job_id, _ in acknowledgments}
    final_ids = {job_id for job_id, state in acknowledgments if state in FINAL}
    done_ids = {take["job_id"] for _, _, take in takes if take["status"] == "done"}
    breaches = twice + [
        f"lost: {count} acknowledged callback(s) of {job} about {state}" for (job, state), count in losses.items()
    ]
    strays = _unclaimed(by_take, runs)
    breaches += [sentence for run in runs for sentence in _wrong_with(run, strays, job_ids, director.cancels)]
    unkept = not_kept(job_ids, takes)
    others = [sentence for run in runs for sentence in _other_film(run, house)]
    breaches += [*unkept, *others, *director.breaches]
    nameless = {(run["id"], shot["id"], take["number"]) for run, shot, take in takes if take["job_id"] is None}
    breaches += [f"paid, and no take knows it: {take}" for take in strays if take not in nameless]
    breaches += [sentence for process in [*house.ours, house.redis, house.sandbox] for sentence in process.desertions]
    lines = [line for process in house.ours for line in process.lines()]
    breaches += [f"a task met what nobody foresaw: {reason}" for reason in _reasons(lines, "task_surprised")]
    breaches += [f"a task gave up: {reason}" for reason in _reasons(lines, "task_failed")]
    breaches += [f"on disk for good: {path.name}" for path in house.spooled()]
    return Verdict(
        figures={
            "runs": len(runs),
            "shots": sum(len(run["shots"]) for run in runs),
            "takes": len(takes),
            "submits": len(journal["submits"]),
            "jobs": len(jobs),
            "distinct paid jobs per take, at most": max(map(len, by_take.values()), default=0),
            "takes paid twice": len(twice),
            "jobs paid and not kept": len(unkept),
            "films of other takes than shown": len(others),
            "decisions at random moments": director.decisions.total(),
            "of these other storyboards": director.decisions["amend"],
            "new takes, each with its reason": sum(take["number"] > 1 for _, _, take in takes),
            "callbacks acknowledged": acknowledgments.total(),
            "callbacks lost on purpose": _lost_on_purpose(jobs),
            "found again by look-up": len(done_ids - final_ids),
            "spooled while Redis was away": sum(1 for line in lines if line.get("spooled")),
            "acknowledged and lost": losses.total(),
            "processes killed": sum(process.kills for process in house.ours),
            "of these at an exact point": len(list(house.folder.glob("trap.*"))),
            "processes told to end, exit code 0": sum(process.goodbyes for process in house.ours),
            "Redis stopped and restarted": house.redis.kills + house.redis.goodbyes,
            "runs that were cancelled": sum(run["status"] == "cancelled" for run in runs),
            "runs that succeeded": sum(run["status"] == "succeeded" for run in runs),
            "runs that hold an unsure take": sum(run["status"] == "waiting" for run in runs),
            "runs given up with a reason": sum(run["status"] == "failed" for run in runs),
        },
        breaches=breaches,
    )


def paid_twice(journal: dict[str, Any]) -> list[str]:
    """Each take with more than one job, in words; whichever receiver its callbacks go to."""
    return [
        f"paid twice: {run_id} {shot_id}.{take} has {len(ids)} jobs"
        for (run_id, shot_id, take), ids in _jobs_by_take(journal["jobs"]).items()
        if len(ids) > 1
    ]


def not_kept(job_ids: set[str], takes: list[tuple[Any, Any, dict[str, Any]]]) -> list[str]:
    """Each job of which a callback was acknowledged, and whose clip is in no take, in words."""
    done_ids = {take["job_id"] for _, _, take in takes if take["status"] == "done"}
    return [f"paid and not kept: {job_id}" for job_id in sorted(job_ids - done_ids)]


def _other_film(run: dict[str, Any], house: House) -> list[str]:
    """A film is of just the takes that are picked, and its file is the one that the run describes."""
    film = run.get("film")  # A run that was lost has none, and is reported elsewhere.
    if run["status"] != "succeeded" or film is None:
        return []
    picks = {shot["id"]: shot["picked"] for shot in run["shots"]}
    place = house.folder / "data" / "media" / film["url"].partition("/media/")[2]
    is_there = place.is_file() and hashlib.sha256(place.read_bytes()).hexdigest() == film["sha256"]
    if film["takes"] == picks and is_there:
        return []
    return [f"another film: {run['id']} shows {picks}, its film is of {film['takes']}, its file {is_there=}"]


def missing_callbacks(journal: dict[str, Any], callbacks: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    """How many copies of each callback the *journal* has as acknowledged and the list does not."""
    return _acknowledged(journal["jobs"]) - _counts_of(callbacks)


def _acknowledged(jobs: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    """How many copies of each callback got a 2xx, as their sender saw it."""
    return Counter(
        (job["id"], callback["state"])
        for job in jobs
        for callback in job["callbacks"]
        if isinstance(callback["outcome"], int) and 200 <= callback["outcome"] <= 299
    )


def _counts_of(callbacks: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for callback in callbacks:
        counts[callback["job_id"], callback["status"]] += 1 + callback["repeats"]
    return counts


def _lost_on_purpose(jobs: list[dict[str, Any]]) -> int:
    return sum(callback["outcome"] == "lost on purpose" for job in jobs for callback in job["callbacks"])


def _jobs_by_take(jobs: list[dict[str, Any]]) -> dict[tuple[str, str, int], list[str]]:
    jobs_of_take: dict[tuple[str, str, int], list[str]] = {}
    for job in jobs:
        address = Tokens("only for the storm").read(job["input"]["callback_url"].rpartition("/")[2], now=0)
        assert isinstance(address, TakeAddress)
        jobs_of_take.setdefault((address.run_id, address.shot_id, address.take), []).append(job["id"])
    return jobs_of_take


def _unclaimed(
    by_take: dict[tuple[str, str, int], list[str]], runs: list[dict[str, Any]]
) -> dict[tuple[str, str, int], set[str]]:
    """
    Jobs that no take names, by the take that they were submitted for, as it is shown.

    A shot that came in under the id of one that has left is made as ``s2-2``, and shown as s2.
    """
    claims = {take["job_id"] for run in runs for shot in all_shots(run) for take in shot["takes"]}
    strays: dict[tuple[str, str, int], set[str]] = {}
    for (run_id, made_as, take), ids in by_take.items():
        if unknown := set(ids) - claims:
            strays.setdefault((run_id, made_as.partition("-")[0], take), set()).update(unknown)
    return strays


def _wrong_with(
    run: dict[str, Any], strays: dict[tuple[str, str, int], set[str]], job_ids: set[str], cancels: set[str]
) -> list[str]:
    """
    A run ends in its film, unless it is among *cancels*. A take may end otherwise, or be held, only as one of which
    nothing could be known: a submit whose answer was lost, and no callback of whose job was acknowledged. Only two such
    takes may cost a shot its film.
    """
    wrong = []
    for shot in all_shots(run):
        for take in shot["takes"]:
            own = {take["job_id"]} if take["job_id"] else strays.get((run["id"], shot["id"], take["number"]), set())
            own_ids = job_ids & own
            if take["status"] != "done" and (own_ids or take["status"] not in ("expired", "unsure")):
                wrong.append(f"{run['id']} {shot['id']}.{take['number']} is {take['status']}: {take['error']}")
    if run["status"] == "succeeded":
        return wrong + _wrong_with_film(run)
    if run["status"] == "failed" and any(len(shot["takes"]) >= 2 for shot in run["shots"]):
        return wrong
    if run["status"] == "cancelled" and run["id"] in cancels:
        return wrong
    if run["status"] == "waiting" and run["error"]["code"] == "outcome_unknown":
        return wrong
    return [*wrong, f"{run['id']} is {run['status']}: {run['error']}"]


def _wrong_with_film(run: dict[str, Any]) -> list[str]:
    """The film has every frame of its clips, those that were handed on once."""
    frames = [_picked_take(shot)["video"]["frames"] for shot in run["shots"]]
    handed_on = sum(shot["continued"] for shot in run["shots"])
    frames_expected, frames_there = sum(frames) - handed_on, run["film"]["frames"]
    return (
        []
        if frames_expected == frames_there
        else [f"{run['id']}: its film has {frames_there} frames, its clips {frames_expected}"]
    )


def _picked_take(shot: dict[str, Any]) -> dict[str, Any]:
    return next(take for take in shot["takes"] if take["number"] == shot["picked"])


def _reasons(lines: list[dict[str, Any]], event: str) -> set[str]:
    return {str(line["reason"]) for line in lines if line.get("event") == event}
