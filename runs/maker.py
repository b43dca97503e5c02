"""Who makes a clip: which provider was asked, and how to ask it about the job."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """
    Who makes a clip: the *provider* by its name in the settings, its *profile*, the address of its API, the *model*.

    ``poll_s``: seconds to the first look-up and between later ones, for a provider that cannot call back. ``findable``:
    it can be asked for a job by our reference. ``key_mark``: identifies the key under which it was submitted.
    """

    provider: str
    profile: str
    base: str
    model: str
    poll_s: tuple[float, float] | None = None
    findable: bool = False
    key_mark: str | None = None
