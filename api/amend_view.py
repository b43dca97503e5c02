"""What an amendment would do, as the API shows it."""

from framerelay.api import shapes
from framerelay.api.views import cost_range
from framerelay.runs.amend_outlook import AmendOutlook


def amend_outlook_view(outlook: AmendOutlook) -> shapes.AmendOutlook:
    """*outlook* as JSON; each shot is in one of its lists."""
    change = outlook.change
    return shapes.AmendOutlook(
        object="outlook",
        keep=change.keep,
        change=change.change,
        add=change.add,
        drop=change.drop,
        stale=change.stale,
        jobs=outlook.jobs,
        cost=cost_range(outlook.cost),
        would=outlook.would,
    )
