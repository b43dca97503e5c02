"""
How every key begins: with one hash tag, because of which a Redis in cluster mode keeps all of them in one slot.

So any script and any transaction may touch any of them. After it, arq's keys are the same as ever.
"""

from typing import Final

PREFIX: Final = "{framerelay}:"
EARLIER: Final = ("framerelay:",)
"""How the keys began in versions whose keys are moved at a start (`store.old_keys`)."""
