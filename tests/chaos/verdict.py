"""What came of a storm: the figures, and every promise that did not hold, in words."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from house import House, lines_of

from runs.tokens import TakeAddress, Tokens

FINAL: Final = ("succeeded", "failed", "expired", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``figures`` in the order in which they are printed; no ``broken`` promise means that the storm was weathered."""

    figures: dict[str, object]
    broken: list[str]


def judge(house: House, runs: list[dict[str, Any]], callbacks: list[dict[str, Any]], redis_stops: int) -> Verdict:
    """Compare what the sandbox saw with what FrameRelay shows; *runs* and *callbacks* as the API lists them."""
    journal = house.journal()
    jobs: list[dict[str, Any]] = journal["jobs"]
    acknowledged = _acknowledged(jobs)
    lost = acknowledged - _kept(callbacks)
    twice = {url: count for url, count in journal["jobs_per_callback_url"].items() if count > 1}
    takes = [(run, shot, take) for run in runs for shot in run["shots"] for take in shot["takes"]]
    by_take = _jobs_by_take(jobs)
    heard = {job_id for job_id, _ in acknowledged}
    told = {job_id for job_id, state in acknowledged if state in FINAL}
    done = {take["job_id"] for _, _, take in takes if take["status"] == "done"}
    broken = [f"paid twice: {_named(url)} has {count} jobs" for url, count in twice.items()]
    broken += [f"lost: {count} acknowledged callback(s) of {job} about {state}" for (job, state), count in lost.items()]
    broken += [sentence for run in runs for sentence in _wrong_with(run, by_take, heard)]
    known = {(run["id"], shot["id"], take["number"]) for run, shot, take in takes}
    broken += [f"paid, and no take knows it: {take}" for take in by_take if take not in known]
    broken += [sentence for process in [*house.ours, house.redis, house.sandbox] for sentence in process.deserted]
    surprises = [line for process in house.ours for line in lines_of(process) if line.get("event") == "task_surprised"]
    broken += [f"a task met what nobody foresaw: {reason}" for reason in {str(line["reason"]) for line in surprises}]
    return Verdict(
        figures={
            "runs": len(runs),
            "shots": sum(len(run["shots"]) for run in runs),
            "takes": len(takes),
            "submits": len(journal["submits"]),
            "jobs": len(jobs),
            "distinct paid jobs per take, at most": max(journal["jobs_per_callback_url"].values(), default=0),
            "takes paid twice": len(twice),
            "new takes, each with its reason": sum(take["number"] > 1 for _, _, take in takes),
            "callbacks acknowledged": acknowledged.total(),
            "callbacks lost on purpose": _lost_on_purpose(jobs),
            "found again by look-up": len(done - told),
            "acknowledged and lost": lost.total(),
            "processes killed": sum(process.kills for process in house.ours),
            "of these at an exact point": len(list(house.folder.glob("trap.*"))),
            "Redis stopped and restarted": redis_stops,
            "runs that succeeded": sum(run["status"] == "succeeded" for run in runs),
            "runs that hold an unsure take": sum(run["status"] == "waiting" for run in runs),
            "runs given up with a reason": sum(run["status"] == "failed" for run in runs),
        },
        broken=broken,
    )


def _acknowledged(jobs: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    """How many copies of each callback got a 2xx, as their sender saw it."""
    return Counter(
        (job["id"], sent["state"])
        for job in jobs
        for sent in job["callbacks"]
        if isinstance(sent["outcome"], int) and 200 <= sent["outcome"] <= 299
    )


def _kept(callbacks: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    kept: Counter[tuple[str, str]] = Counter()
    for callback in callbacks:
        kept[callback["job_id"], callback["status"]] += 1 + callback["repeats"]
    return kept


def _lost_on_purpose(jobs: list[dict[str, Any]]) -> int:
    return sum(sent["outcome"] == "lost on purpose" for job in jobs for sent in job["callbacks"])


def _jobs_by_take(jobs: list[dict[str, Any]]) -> dict[tuple[str, str, int], list[str]]:
    found: dict[tuple[str, str, int], list[str]] = {}
    for job in jobs:
        address = Tokens("only for the storm").read(job["input"]["callback_url"].rpartition("/")[2], now=0)
        assert isinstance(address, TakeAddress)
        found.setdefault((address.run, address.shot, address.take), []).append(job["id"])
    return found


def _wrong_with(run: dict[str, Any], by_take: dict[tuple[str, str, int], list[str]], heard: set[str]) -> list[str]:
    """
    A run ends in its film. A take may end otherwise, or be held, only as one of which nothing could be known: a submit
    whose answer was lost, and no callback of whose job was acknowledged. Only two such takes may cost a shot its film.
    """
    wrong = []
    for shot in run["shots"]:
        for take in shot["takes"]:
            known = heard.intersection(by_take.get((run["id"], shot["id"], take["number"]), []))
            if take["status"] != "done" and (known or take["status"] not in ("expired", "unsure")):
                wrong.append(f"{run['id']} {shot['id']}.{take['number']} is {take['status']}: {take['error']}")
    if run["status"] == "succeeded":
        return wrong + _wrong_with_film(run)
    if run["status"] == "failed" and any(len(shot["takes"]) == 2 for shot in run["shots"]):
        return wrong
    if run["status"] == "waiting" and run["error"]["code"] in ("outcome_unknown",):
        return wrong
    return [*wrong, f"{run['id']} is {run['status']}: {run['error']}"]


def _wrong_with_film(run: dict[str, Any]) -> list[str]:
    """The film has every frame of its clips, those that were handed on once."""
    frames = [_done(shot)["video"]["frames"] for shot in run["shots"]]
    before = [None, *(shot["id"] for shot in run["shots"])]
    handed_on = sum(shot["source"] == last for shot, last in zip(run["shots"], before, strict=False) if last)
    wanted, found = sum(frames) - handed_on, run["film"]["frames"]
    return [] if wanted == found else [f"{run['id']}: its film has {found} frames, its clips {wanted}"]


def _done(shot: dict[str, Any]) -> dict[str, Any]:
    return next(take for take in shot["takes"] if take["number"] == shot["picked"])


def _named(callback_url: str) -> str:
    return str(Tokens("only for the storm").read(callback_url.rpartition("/")[2], now=0))
