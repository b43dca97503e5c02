"""The settings that a run keeps from its start to its end."""

from framerelay.config.settings import Settings
from framerelay.runs.model import Terms


def terms_of(settings: Settings) -> Terms:
    """The terms for a run that starts now."""
    return Terms(
        lookup_after_s=settings.lookup_after_s,
        submit_timeout_s=settings.submit_timeout_s,
        unsure_hold_s=settings.unsure_hold_s,
        unsure=settings.unsure,
        ask_after_s=settings.ask_after_s,
        provider_frame_first=settings.handoff == "auto",
    )
