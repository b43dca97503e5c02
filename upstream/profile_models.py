"""What a profile says about models: what each can do, and what its clips cost."""

from typing import Any, Literal

from msgspec import field

from framerelay.upstream.profile_words import Section, Text


class Durations(Section, frozen=True, kw_only=True):
    """Seconds from ``min`` to ``max``; ``auto``: the value that lets the model choose."""

    min: float
    max: float
    auto: Text | None = None


class Price(Section, frozen=True, kw_only=True):
    """
    What a clip costs: per second, per clip or per million tokens, for each resolution or for all.

    A list of two is the price without and with sound. ``tiers``: what it is multiplied by in a service tier; ``free``:
    raw fields that do not change it.
    """

    currency: str
    per_s: float | dict[str, float | list[float]] | None = None
    per_clip: float | dict[str, float | list[float]] | None = None
    per_mtok: float | dict[str, float | list[float]] | None = None
    tokens: str | None = None
    tiers: dict[str, float] = field(default_factory=dict)
    free: list[str] = field(default_factory=list)


class Model(Section, frozen=True, kw_only=True):
    """What one model can do, as far as is known, and where it differs from the rest of its profile."""

    like: str | None = None
    frames: list[Literal["first", "last"]] | None = None
    needs: list[Literal["first", "last"]] | None = None
    returns_last_frame: bool | None = None
    durations: list[float] | Durations | None = None
    resolutions: list[str] | None = None
    ratios: list[str] | None = None
    audio: Literal["choice", "always", "none"] | None = None
    references: list[Literal["images", "videos"]] | None = None
    tiers: list[str] | None = None
    prompt_max: int | None = None
    last_frame_needs: dict[str, Text] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    drop: list[str] = field(default_factory=list)
    set: dict[str, Any] = field(default_factory=dict)
    draft: dict[str, Any] = field(default_factory=dict)
    price: Price | None = None
