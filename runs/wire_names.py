"""What ids are called outside the code, where `run` and `shot` are structs: in Redis and in the API."""

from typing import Final

WIRE_NAMES: Final = {"run_id": "run", "shot_id": "shot"}
"""The ``rename`` for every struct with such an id that is stored or sent in an answer."""
