"""What a person wants to know about a provider, in a line: for the command, and for the page."""

from datetime import UTC, date, datetime
from typing import Any, Final

from framerelay.upstream.profile import Profile
from framerelay.upstream.providers import Provider
from framerelay.upstream.senders import missing_secret

OLD_DAYS: Final = 90


def summary_of(provider: Provider, *, is_default: bool) -> dict[str, Any]:
    """As ``framerelay providers --json`` prints it; never a key."""
    profile = provider.profile
    return {
        "name": provider.name,
        "profile": profile.id,
        "title": profile.title,
        "default": is_default,
        "has_key": provider.key is not None,
        "key_env": provider.key_variables[0] if provider.key_variables else None,
        "callback": profile.callback.on,
        "signed": profile.callback.signature != "none",
        "secret_missing": missing_secret(provider),
        "accepts": list(profile.media.accepts),
        "returns_last_frame": profile.read is None or profile.read.last_frame is not None,
        "models": list(profile.models),
        "price_known": any(model.price for model in profile.models.values()) or bool(provider.prices),
        "checked": profile.checked,
        "age_days": _age_days(profile),
        "guessed": list(profile.guessed),
    }


def is_old(summary: dict[str, Any]) -> bool:
    """Whether its facts were checked so long ago that they may have changed."""
    return summary["age_days"] is not None and summary["age_days"] > OLD_DAYS


def _age_days(profile: Profile) -> int | None:
    if profile.checked is None:
        return None
    return max((datetime.now(UTC).date() - date.fromisoformat(profile.checked)).days, 0)
