"""The parameters of operations besides those in their path; `api.operations` refers to them by their keys."""

from typing import Any, Final

from framerelay.runs.model import RunStatus

PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "limit": {"in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 200, "default": 20}},
    "after": {"in": "query", "description": "The next of the page before.", "schema": {"type": "string"}},
    "status": {"in": "query", "schema": {"type": "string", "enum": [status.value for status in RunStatus]}},
    "label": {
        "in": "query",
        "description": "Only those with this label; repeat it for several, all of which they have.",
        "style": "form",
        "explode": True,
        "schema": {"type": "array", "items": {"type": "string", "examples": ["project:rain"]}},
    },
    "q": {
        "in": "query",
        "description": "Only those with these words, or words that begin with them, in title, labels or hook.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    },
    "needs": {
        "in": "query",
        "description": "person: only those that a person should look at, since they wait, or one of their shots asks.",
        "schema": {"const": "person"},
    },
    "of-run": {"name": "run", "in": "query", "description": "Only of this run.", "schema": {"type": "string"}},
    "Idempotency-Key": {
        "in": "header",
        "description": "A request that is repeated with the same key gets the run that the first one made.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    },
    "Plan": {
        "in": "header",
        "description": "The id of the plan that a person agreed to: any other storyboard is refused.",
        "schema": {"type": "string", "pattern": "^plan_[0-9a-f]{24}$"},
    },
    "Max-Jobs": {
        "in": "header",
        "description": "At most this many jobs, whatever budget the storyboard allows.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 999999},
    },
    "Last-Event-ID": {
        "in": "header",
        "description": "The id of the last event that was received.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,18}(-[0-9]{1,18})?$"},
    },
    "after-event": {
        "name": "after",
        "in": "query",
        "description": "As Last-Event-ID, which goes before it.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,18}(-[0-9]{1,18})?$"},
    },
    "Accept": {
        "in": "header",
        "description": "application/json for JSON; else it is YAML, with its comments.",
        "schema": {"type": "string"},
    },
    "dry_run": {
        "in": "query",
        "description": "true: say what it would do and cost, and do nothing.",
        "schema": {"type": "boolean", "default": False},
    },
    "revision": {
        "in": "query",
        "description": "The revision that the person looked at: if the run has changed since, 409 and nothing happens.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Range": {"in": "header", "schema": {"type": "string", "examples": ["bytes=0-99", "bytes=-100"]}},
    "small": {
        "in": "query",
        "description": "For a frame: a copy for pages, at most 480 pixels wide and high, if there is one yet.",
        "schema": {"type": "string"},
    },
    "expires": {"in": "query", "description": "Of a signed link.", "schema": {"type": "string"}},
    "signature": {"in": "query", "description": "Of a signed link.", "schema": {"type": "string"}},
}
