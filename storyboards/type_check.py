"""A document checked against a struct, part by part: every mistake with its line; msgspec stops at the first."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import inspect

from framerelay.storyboards.notation import excerpt
from framerelay.storyboards.parts import Part, describe_value, is_near, near

ValueCheck = Callable[[Part, object], None]
"""Checks one value of a kind (`Meta(extra={"kind": …})`) and reports mistakes; the other is the value itself."""

_PLAIN: Final[Mapping[type[inspect.Type], tuple[type | tuple[type, ...], str]]] = {
    inspect.StrType: (str, "text"),
    inspect.BoolType: (bool, "true or false"),
    inspect.IntType: (int, "a whole number"),
    inspect.FloatType: ((int, float), "a number"),
}


def check_types(
    part: Part, struct: type[msgspec.Struct], *, checks: Mapping[str, ValueCheck], partial: bool = False
) -> None:
    """
    Report everything in *part* that *struct* does not allow.

    *checks*: what to do with values of a kind, by its name. *partial*: missing values are allowed, since they come from
    elsewhere.
    """
    _Walk(checks, partial=partial).visit(part, inspect.type_info(struct))


class _Walk:
    def __init__(self, checks: Mapping[str, ValueCheck], *, partial: bool) -> None:
        self._checks = checks
        self._partial = partial

    def visit(self, part: Part, kind: inspect.Type, *, extra: Mapping[str, Any] | None = None) -> None:
        match kind:
            case inspect.Metadata():
                self.visit(part, kind.type, extra=kind.extra)
                return
            case inspect.UnionType():
                self._union(part, kind)
                return
            case inspect.StructType():
                self._struct(part, kind)
            case inspect.DictType():
                self._dict(part, kind)
            case inspect.ListType():
                for item in part.items() or ():
                    self.visit(item, kind.item_type)
            case inspect.LiteralType():
                _literal(part, kind.values)
            case inspect.AnyType():
                pass
            case _:
                if not _is_plain(part.value, kind):
                    part.complain(f"expected {_PLAIN[type(kind)][1]}, found {describe_value(part.value)}")
                    return
        if extra and (check := self._checks.get(extra.get("kind", ""))) is not None:
            check(part, part.value)

    def _union(self, part: Part, kind: inspect.UnionType) -> None:
        """The first of the kinds whose shape *part* has; if it has none of them, all are named."""
        kinds = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        if part.value is None and len(kinds) < len(kind.types):
            return
        fitting = next((one for one in kinds if _has_shape_of(part.value, one)), None)
        if fitting is None and len(kinds) > 1:
            part.complain(f"expected {_one_of(_name(one) for one in kinds)}, found {describe_value(part.value)}")
        else:
            self.visit(part, fitting or kinds[0])

    def _struct(self, part: Part, kind: inspect.StructType) -> None:
        fields = {one.encode_name: one for one in kind.fields}
        keys = part.group(fields)
        if keys is None:
            return
        value = part.value if isinstance(part.value, dict) else {}
        strays = [key for key in value if key not in fields]  # A misspelled key is not reported as missing as well.
        for name, one in fields.items():
            if name in keys:
                self.visit(keys[name], one.type)
            elif one.required and not self._partial and not any(is_near(key, name) for key in strays):
                part.miss(name, message=f"{name} is missing here")

    def _dict(self, part: Part, kind: inspect.DictType) -> None:
        if not isinstance(part.value, dict):
            part.complain(f"expected keys with values, found {describe_value(part.value)}")
            return
        for key, value in part.value.items():
            inner = Part(value=value, notes=part.notes, path=(*part.path, str(key)), order=part.order)
            self.visit(Part(value=key, notes=part.notes, path=inner.path, order=part.order), kind.key_type)
            self.visit(inner, kind.value_type)


def _literal(part: Part, values: Iterable[object]) -> None:
    words = [str(value) for value in values]
    if not any(part.value == value and type(part.value) is type(value) for value in values):
        hint = near(part.value, words) if isinstance(part.value, str) else ""
        phrase = f'"{excerpt(part.value)}"' if isinstance(part.value, str) else describe_value(part.value)
        part.complain(f"expected {_one_of(words)}, found {phrase}{hint}")


def _has_shape_of(value: object, kind: inspect.Type) -> bool:
    match kind:
        case inspect.Metadata():
            return _has_shape_of(value, kind.type)
        case inspect.StructType() | inspect.DictType():
            return isinstance(value, dict)
        case inspect.ListType():
            return isinstance(value, list)
        case inspect.LiteralType():
            return isinstance(value, str)
        case inspect.AnyType():
            return True
        case _:
            return _is_plain(value, kind)


def _is_plain(value: object, kind: inspect.Type) -> bool:
    types, _ = _PLAIN[type(kind)]
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return isinstance(value, types) and (types is bool or not isinstance(value, bool))


def _name(kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata():
            return _name(kind.type)
        case inspect.StructType() | inspect.DictType():
            return "keys with values"
        case inspect.ListType():
            return "a list"
        case inspect.LiteralType():
            return _one_of(str(value) for value in kind.values)
        case _:
            return _PLAIN[type(kind)][1]


def _one_of(words: Iterable[str]) -> str:
    *some, last = words
    return f"{', '.join(some)} or {last}" if some else last
