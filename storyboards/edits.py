"""
Changing single values in the text of a document, and nothing else: comments, order and quotes stay as they were.

The caller has to check what the text says afterwards: an alias or a tag may make it something else.
"""

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from framerelay.storyboards.documents import Path

GONE: Final = object()  # The value of a key that is to be removed.


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """*value* at *path*, whether something is there or not; `GONE` removes the key."""

    path: Path
    value: Any


def edited_text(text: str, edits: Iterable[Edit]) -> str | None:
    """YAML *text* with *edits*; None if one of them cannot be made in place."""
    root = _compose(text)
    slices = [_slice_of(text, root, edit) for edit in edits]
    if any(each is None for each in slices):
        return None
    for start, end, words in sorted(filter(None, slices), reverse=True):
        text = text[:start] + words + text[end:]
    return text


def edited_value(document: Mapping[str, Any], edits: Iterable[Edit]) -> dict[str, Any]:
    """A copy of *document* with *edits*, whose paths lead through existing values."""
    copy: dict[str, Any] = json.loads(json.dumps(document))
    for edit in edits:
        inner: Any = copy
        for step in edit.path[:-1]:
            inner = inner.setdefault(step, {}) if isinstance(inner, dict) else inner[step]
        if edit.value is GONE:
            inner.pop(edit.path[-1], None)
        else:
            inner[edit.path[-1]] = edit.value
    return copy


def dump_yaml(document: object) -> str:
    """*document*, plain values, as YAML that a person can continue with."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    yaml.width = 100
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # Their order is the person's.
    out = io.StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def _compose(text: str) -> Node | None:
    try:
        node: Node | None = YAML(typ="safe", pure=True).compose(text)
    except YAMLError:
        return None
    return node


def _slice_of(text: str, node: Node | None, edit: Edit) -> tuple[int, int, str] | None:
    """Which part of *text* is replaced, and by what."""
    for step in edit.path[:-1]:
        node = _inner(node, step)
    name = edit.path[-1]
    if not isinstance(node, MappingNode) or not node.value:
        return None
    key = next((key for key, _ in node.value if key.value == name), None)
    value = _inner(node, name)
    if edit.value is GONE:
        return _removal(text, node, key, value) if key is not None and value is not None else (0, 0, "")
    words = json.dumps(edit.value, ensure_ascii=False)
    if value is None:
        first = node.value[0][0].start_mark
        between = ", " if node.flow_style else "\n" + " " * first.column
        return first.index, first.index, f"{name}: {words}{between}"
    if isinstance(value, MappingNode | SequenceNode) and not value.flow_style:
        return None
    start, end = value.start_mark.index, value.end_mark.index
    return start, start + len(text[start:end].rstrip()), words


def _removal(text: str, node: MappingNode, key: Node, value: Node) -> tuple[int, int, str] | None:
    """The lines of *key* with everything that it holds; not if several keys share one line."""
    if node.flow_style or text[: key.start_mark.index].rpartition("\n")[2].strip():
        return None
    start, end = key.start_mark.index, value.end_mark.index
    end = start + len(text[start:end].rstrip())
    line_end = text.find("\n", end)
    return start, len(text) if line_end < 0 else line_end + 1 + key.start_mark.column, ""


def _inner(node: Node | None, step: str | int) -> Node | None:
    if isinstance(node, MappingNode):
        return next((value for key, value in node.value if key.value == step), None)
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        inner: Node = node.value[step]
        return inner
    return None
