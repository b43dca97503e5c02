"""Which runs a list is asked for, according to its query: for the API and for the page."""

from starlette.requests import Request

from framerelay.runs.errors import RequestInvalid
from framerelay.runs.model import RunStatus
from framerelay.store.run_index import TEXT_MAX, RunQuery, has_words
from framerelay.storyboards.labels import LABELS_MAX, label_of
from framerelay.storyboards.notation import excerpt


def run_query_of(request: Request) -> RunQuery:
    """``status``, ``label`` (any number of them), ``q`` and ``needs``; empty: ignored. Raises: RequestInvalid."""
    query = request.query_params
    status, text, needs = (query.get(name) or None for name in ("status", "q", "needs"))
    if status is not None and status not in set(RunStatus):
        raise RequestInvalid(f"status is not one of {', '.join(RunStatus)}", param="status")
    if text is not None and (len(text) > TEXT_MAX or not has_words(text)):
        raise RequestInvalid(f"q has no word in it, or more than {TEXT_MAX} characters", param="q")
    if needs not in (None, "person"):
        raise RequestInvalid("needs is not person", param="needs")
    return RunQuery(
        status=RunStatus(status) if status else None,
        labels=_labels(query.getlist("label")),
        text=text or "",
        needs_person=needs is not None,
    )


def _labels(texts: list[str]) -> tuple[tuple[str, str], ...]:
    if len(texts) > LABELS_MAX:
        raise RequestInvalid(f"a run has {LABELS_MAX} labels at most", param="label")
    pairs = [(text, label_of(text)) for text in texts]
    for text, pair in pairs:
        if pair is None:
            raise RequestInvalid(f'"{excerpt(text)}" is not a label: write name:value, as project:rain', param="label")
    return tuple(pair for _, pair in pairs if pair is not None)
