"""Who makes a clip: ``provider``, ``model`` and ``extra``, as given at the top, in a scene, and in a shot."""

from collections.abc import Mapping
from typing import Any, Final

from framerelay.storyboards.boundaries import ProviderChoice
from framerelay.storyboards.parts import Part

CHOICE_KEYS: Final = ("model", "provider", "extra")


def read_choice(keys: Mapping[str, Part], outer: ProviderChoice | None = None) -> ProviderChoice:
    """
    What *keys* say, merged over what the *outer* level says: the inner word counts, raw fields are combined.

    Another provider has other fields, so raw fields of the outer level are not sent to it.
    """
    provider = keys["provider"].name() if "provider" in keys else None
    model = keys["model"].text() if "model" in keys else None
    extra = _read_extra(keys["extra"]) if "extra" in keys else {}
    if outer is None:
        return ProviderChoice(provider=provider, model=model, extra=extra)
    if provider is None or provider == outer.provider:
        extra = _merge(outer.extra, extra)
    return ProviderChoice(provider=provider or outer.provider, model=model or outer.model, extra=extra)


def _read_extra(part: Part) -> dict[str, Any]:
    """Anything: only the provider knows its fields."""
    if isinstance(part.value, dict):
        return part.value
    part.complain("expected fields of the provider with their values, for example extra: {cfg_scale: 0.5}")
    return {}


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        inner = result.get(key)
        result[key] = _merge(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return result
