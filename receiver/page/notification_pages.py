"""Notifications: to whom they went, the outcome of each try, and sending one again."""

from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from framerelay.api.views import notification_view
from framerelay.receiver.notifications import send_again
from framerelay.receiver.page.list_page import look_through
from framerelay.receiver.page.rendering import render_page
from framerelay.receiver.state import state_of
from framerelay.runs.errors import RequestInvalid
from framerelay.runs.notice_kinds import NotificationState

NOTIFICATIONS_A_PAGE: Final = 50


async def show_notifications(request: Request) -> Response:
    """``GET /notifications?run=&state=&after=``: newest first, with all their deliveries. Raises: RequestInvalid."""
    state, query = state_of(request), request.query_params
    run_text, state_name = query.get("run", "").strip(), query.get("state", "")
    if state_name and state_name not in set(NotificationState):
        raise RequestInvalid(f"state is not one of {', '.join(NotificationState)}", param="state")
    run = await state.store.find_by_name(run_text) if run_text else None
    run_id = run.id if run else run_text or None  # A run that was removed still has notifications.
    page = await look_through(
        lambda limit, after: state.outbox.recent(limit=limit, after=after, run_id=run_id),
        name=lambda each: each.notice.id,
        is_match=lambda each: state_name in ("", each.state),
        is_past=lambda each: False,
        limit=NOTIFICATIONS_A_PAGE,
        after=query.get("after"),
    )
    runs = await state.store.runs(limit=100)
    pairs = [("state", state_name), ("run", run_text), ("after", page.more)]
    return await render_page(
        request,
        "notifications.html",
        notifications=[notification_view(each) for each in page.items],
        titles={run.id: run.title for run in runs},
        older=urlencode([pair for pair in pairs if pair[1]]) if page.more else None,
        states=list(NotificationState),
        state_name=state_name,
        run=run_text,
    )


async def redeliver(request: Request) -> Response:
    """``POST /notifications/{notification}/replay``: sent again at once; 303 to its row. Raises: NotFound."""
    notification = await send_again(state_of(request).outbox, request.path_params["notification"])
    return Response(status_code=303, headers={"Location": f"/notifications#{notification.notice.id}"})
