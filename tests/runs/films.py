"""The film of a run as its worker would report it."""

from framerelay.runs import events
from framerelay.runs.model import Film, Run
from framerelay.runs.standing import picks


def joined(run: Run) -> events.Joined:
    """The film of just the takes that are picked in *run*, by the join that it asks for."""
    film = Film(path="film", bytes=1, duration_s=10.0, frames=241, copied=True, takes=picks(run), sha256="0")
    return events.Joined(film=film, turn=run.turns)
