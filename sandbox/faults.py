"""What can go wrong on request: each switch is a rate, and the dice are loaded the same way every time."""

import random
from dataclasses import dataclass, fields


class OptionInvalid(ValueError):
    """An option of the sandbox that makes no sense: *name* as in `SandboxOptions` or `Faults`, and the *rule*."""

    def __init__(self, name: str, rule: str) -> None:
        super().__init__(f"{name} {rule}")
        self.name = name
        self.rule = rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """
    Rates from 0 (never) to 1 (always).

    A draw depends on ``seed``, the switch, and what it is drawn for (job number, status, how many times it was asked),
    never on time: the same requests in the same order meet the same faults.
    """

    seed: int = 1
    lose: float = 0.0
    """A callback is not sent, nor tried again."""
    repeat: float = 0.0
    """A callback is sent three times at once."""
    reorder: float = 0.0
    """A callback about a state that is not final is sent only after the next one."""
    early: float = 0.0
    """The first callback arrives before the submit is answered."""
    unavailable: float = 0.0
    """A look-up, upload or download is answered 503."""
    accept_then_500: float = 0.0
    """A submit is accepted (and paid), but answered 500."""
    rate_limit: float = 0.0
    """A submit is answered 429 with ``Retry-After: 1``; nothing is accepted."""
    busy: float = 0.0
    """A submit is answered 503 with an error in JSON; nothing is accepted."""
    refuse_with_200: float = 0.0
    """A submit is answered 200 with ``{"code": 4001, "message": …}``; nothing is accepted."""
    lag: float = 0.0
    """The look-ups of a job still say that it runs for ``LAG_S`` after its end, which its callback has reported."""
    expire: float = 0.0
    """A job ends ``expired``."""
    moderate: float = 0.0
    """A job ends ``failed``: ``OutputVideoSensitiveContentDetected``."""
    slow: float = 0.0
    """A submit or look-up is answered ``SLOW_S`` late."""

    def __post_init__(self) -> None:
        for name in SWITCHES:
            if not 0 <= getattr(self, name) <= 1:
                raise OptionInvalid(name, "must lie between 0 and 1.")

    def strikes(self, switch: str, *what: object) -> bool:
        """Whether *switch* strikes *what*; the same question always has the same answer."""
        rate: float = getattr(self, switch)
        dice = random.Random(f"{self.seed}/{switch}/{'/'.join(map(str, what))}")  # noqa: S311 - repeatable on purpose
        return dice.random() < rate


SWITCHES = tuple(field.name for field in fields(Faults) if field.name != "seed")

SLOW_S = 2.0
LAG_S = 1.0
