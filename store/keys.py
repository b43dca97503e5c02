"""
How every key begins: with one hash tag, by which a Redis in cluster mode keeps all of them in one slot.

So any script and any transaction may touch any of them. arq's are the same as ever behind that.
"""

from typing import Final

PREFIX: Final = "{framerelay}:"
EARLIER: Final = ("framerelay:",)
"""How those of versions began whose keys are moved at a start (`store.old_keys`)."""
