"""The fields of a decision's body, checked by the rules of a storyboard: mistakes are refused, with their place."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from framerelay.runs.errors import RequestInvalid, StoryboardInvalid
from framerelay.runs.limits import JOBS_MAX, MONEY_MAX
from framerelay.storyboards.inputs import CALLBACK_IS_OURS, PLAIN_FIELDS, REFERENCE_FILES, read_inputs
from framerelay.storyboards.parts import Notes, Part

SEED_MAX: Final = 2**32 - 1
BUDGET_KEYS: Final = ("jobs", "money")


def budget_of(fields: Mapping[str, Any]) -> tuple[int | None, float | None]:
    """The total limits in ``{"budget": {"jobs": 15, "money": 80}}``; None if left out. Raises: RequestInvalid."""
    if fields.get("budget") is None:
        return None, None
    with _refusals(Part(value=fields["budget"], notes=Notes(), path=("budget",))) as budget:
        keys = {name: part for name, part in (budget.group(BUDGET_KEYS) or {}).items() if part.value is not None}
        if isinstance(budget.value, dict) and not any(each is not None for each in budget.value.values()):
            budget.complain("write {jobs: 12} for at most twelve jobs, money for an amount, or leave budget out")
        jobs = keys["jobs"].whole_number(1, JOBS_MAX) if "jobs" in keys else None
        money = keys["money"].number() if "money" in keys else None
        if money is not None and not 0 < money <= MONEY_MAX:
            keys["money"].complain(f"expected an amount above 0, at most {MONEY_MAX}, found {money}")
    return jobs, None if money is None else float(money)


def yes_no(fields: Mapping[str, Any], name: str) -> bool:
    """Whether the field *name* is true; it may be left out. Raises: RequestInvalid."""
    if fields.get(name) is not None and not isinstance(fields[name], bool):
        raise RequestInvalid(f"{name} is not true or false", param=name)
    return bool(fields.get(name))


def revision_of(fields: Mapping[str, Any]) -> int | None:
    """The revision that a person looked at, if given. Raises: RequestInvalid."""
    revision = fields.get("revision")
    if revision is not None and type(revision) is not int:
        raise RequestInvalid("revision is not a whole number", param="revision")
    return revision


def change_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """
    What ``{"prompt": …, "seed": …, "input": {…}}`` changes in a shot, by the names of `events.ShotChange`.

    Raises: RequestInvalid.
    """
    prompt, seed = fields.get("prompt"), fields.get("seed")
    if prompt is not None and (not isinstance(prompt, str) or not prompt.strip()):
        raise RequestInvalid("prompt is empty, or is not text", param="prompt")
    if seed is not None and (type(seed) is not int or not -1 <= seed <= SEED_MAX):
        raise RequestInvalid(f"seed is not a whole number from -1 to {SEED_MAX}", param="seed")
    twice = _given_names(prompt=prompt, seed=seed)
    new = {} if fields.get("input") is None else _input_of(fields["input"], twice=twice)
    return {"prompt": new.pop("prompt", prompt), "seed": new.pop("seed", seed), "input": new}


def _given_names(**values: object) -> list[str]:
    return [name for name, value in values.items() if value is not None]


def _input_of(value: object, *, twice: Sequence[str]) -> dict[str, Any]:
    """The input fields of *value*; those that are also given outside it (*twice*) are left out."""
    with _refusals(Part(value=value, notes=Notes(), path=("input",))) as part:
        keys = part.group(("prompt", *PLAIN_FIELDS, *REFERENCE_FILES), elsewhere=_NOT_HERE) or {}
        for name in twice:
            if name in keys:
                keys[name].complain(f"{name} is given beside input already: keep one of the two")
        prompt = {"prompt": keys["prompt"].text()} if "prompt" in keys else {}
        new = {**read_inputs(keys), **prompt}
        if "seed" in new and not -1 <= new["seed"] <= SEED_MAX:
            keys["seed"].complain(f"expected a whole number from -1 to {SEED_MAX}")
    return new


_NOT_HERE: Final = {
    **dict.fromkeys(
        ("first_frame", "first_frame_url", "last_frame", "last_frame_url"),
        "the frames of a shot are those of its storyboard: they cannot be changed here",
    ),
    "callback_url": CALLBACK_IS_OURS,
}


@contextlib.contextmanager
def _refusals(part: Part) -> Iterator[Part]:
    """Collects complaints about *part* and refuses them at the end. Raises: RequestInvalid, with every mistake."""
    yield part
    try:
        part.notes.raise_if_any()
    except StoryboardInvalid as error:
        first, *others = error.mistakes
        words = "; ".join([first.message, *(f"{each.place}: {each.message}" for each in others)])
        raise RequestInvalid(words, param=first.place) from None
