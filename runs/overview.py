"""Counts over all shots of a run, so that no change has to look at every shot."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """
    What the rules ask of all shots of a run together; `runs.standing` makes it, and updates it with each change.

    ``micros``: millionths of the currency that takes cost, or are reserved for them.
    ``awake``: places of the shots that something is under way for, or that could be submitted. ``undone``: how many are
    not done. ``spent`` · ``intents``: jobs that were or may have been accepted; submits that are under way.
    ``callbacks`` · ``misses``: jobs that a callback reported; jobs whose end was found by polling.
    """

    awake: tuple[int, ...] = ()
    undone: int = 0
    spent: int = 0
    intents: int = 0
    micros: int = 0
    callbacks: int = 0
    misses: int = 0
