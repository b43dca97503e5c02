"""What ids are called outside of the code, where `run` and `shot` are structs: in Redis and in the API."""

from typing import Final

WIRE_NAMES: Final = {"run_id": "run", "shot_id": "shot"}
"""The ``rename`` of every struct that is stored or answered and holds such an id."""
