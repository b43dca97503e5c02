"""``GET /v1/notifications`` and ``POST /v1/notifications/{id}/replay``: what was sent to whom, with which result."""

import structlog
from starlette.requests import Request
from starlette.responses import Response

from framerelay.api import shapes
from framerelay.api.views import notification_view
from framerelay.receiver.answers import shape_answer
from framerelay.receiver.runs_api import page_of
from framerelay.receiver.state import state_of
from framerelay.runs.errors import NotFound
from framerelay.store.outbox import Notification, Outbox

log = structlog.get_logger()


async def list_notifications(request: Request) -> Response:
    """``GET /v1/notifications?run=&limit=&after=``: newest first, each with all its deliveries."""
    limit, after = page_of(request)
    state = state_of(request)
    run_text = request.query_params.get("run")
    run = await state.store.find_by_name(run_text) if run_text is not None else None
    run_id = run.id if run else run_text  # A run that was removed still has notifications.
    records = await state.outbox.recent(limit=limit + 1, after=after, run_id=run_id)
    more = records[limit - 1].notice.id if len(records) > limit else None
    views = [notification_view(each) for each in records[:limit]]
    return shape_answer(shapes.Notifications(object="list", data=views, next=more))


async def replay_notification(request: Request) -> Response:
    """Send it again at once, under the same id; if that fails, it is retried for another day."""
    notification = await send_again(state_of(request).outbox, request.path_params["notification"])
    return shape_answer(notification_view(notification))


async def send_again(outbox: Outbox, text: str) -> Notification:
    """The notification that *text* refers to, which is sent again. Raises: NotFound; IdAmbiguous."""
    record = await outbox.find_by_name(text)
    sent = record is not None and await outbox.send_again(record.notice.id)
    notification = await outbox.find(record.notice.id) if record else None
    if not sent or notification is None:
        raise NotFound("there is no such notification, or it is no longer kept")
    log.info("notification_replayed", notification_id=notification.notice.id, run_id=notification.notice.run_id)
    return notification
