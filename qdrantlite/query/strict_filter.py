"""What strict mode asks of filters: few conditions, short lists, and an index on every field.

Pure; raises BadRequest with Qdrant's texts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn, TypeAlias, assert_never

from qdrantlite.errors import BadRequest
from qdrantlite.query.filter import (
    Condition,
    DatetimeRange,
    FieldCondition,
    Filter,
    GeoBoundingBox,
    GeoPolygon,
    GeoRadius,
    HasId,
    HasVector,
    IsEmpty,
    IsEmptyFlag,
    IsNull,
    IsNullFlag,
    MatchAnyInteger,
    MatchAnyKeyword,
    MatchBool,
    MatchExceptInteger,
    MatchExceptKeyword,
    MatchInteger,
    MatchKeyword,
    MatchPhrase,
    MatchPrefix,
    MatchSubstring,
    MatchText,
    MatchTextAny,
    Nested,
    Predicate,
    Range,
    Slice,
    ValuesCount,
)
from qdrantlite.values.point_id import is_uuid
from qdrantlite.values.schema import FieldIndex, FieldKind, StrictMode

Schema: TypeAlias = Mapping[str, FieldIndex]


def check_filter(filter: Filter | None, limits: StrictMode, schema: Schema, *, indexed: bool | None) -> None:
    """Raises BadRequest for too many conditions, too long lists and, where ``indexed`` is False, for a field without
    an index that can answer; None and True let such fields pass.
    """
    if filter is None:
        return
    if indexed is False:
        for key, kinds in needed_indexes(filter):
            require_index(key, kinds, schema)
    count, longest = _measured(filter)
    if limits.filter_max_conditions is not None and count > limits.filter_max_conditions:
        refuse(
            f"Filter condition limit reached ({count} > {limits.filter_max_conditions})",
            "Reduce the amount of conditions of your filter.",
        )
    if limits.condition_max_size is not None and longest > limits.condition_max_size:
        refuse(
            f"Condition size limit reached ({longest} > {limits.condition_max_size})",
            "Reduce the size of your condition.",
        )


def condition_count(filter: Filter | None) -> int:
    """How many conditions a filter holds, filters inside it counting as what is in them."""
    return 0 if filter is None else _measured(filter)[0]


def refuse(what: str, remedy: str) -> NoReturn:
    """Raises BadRequest in the form of strict mode."""
    raise BadRequest(f"{what}. Help: {remedy}")


@dataclass(frozen=True, slots=True)
class Need:
    """An index of a kind, made with a parameter switched on where one is named."""

    kind: FieldKind
    parameter: str | None = None

    def is_met(self, index: FieldIndex) -> bool:
        """Whether an index can do it."""
        if index.kind is not self.kind:
            return False
        if self.parameter is None:
            return True
        given = None if index.params is None else getattr(index.params, self.parameter)
        return self.parameter in ON_UNLESS_TOLD if given is None else bool(given)


ON_UNLESS_TOLD = frozenset({"lookup", "range"})
ANY = tuple([Need(kind) for kind in FieldKind])
LOOKUP, RANGE = Need(FieldKind.INTEGER, "lookup"), Need(FieldKind.INTEGER, "range")


def require_index(key: str, needs: tuple[Need, ...], schema: Schema) -> None:
    """Raises BadRequest unless the field has an index that meets one of the needs; none ask for none."""
    index = schema.get(key)
    if not needs or (index is not None and any(need.is_met(index) for need in needs)):
        return
    named = ", ".join([need.kind.value for need in needs])
    refuse(
        f'Index required but not found for "{key}" of one of the following types: [{named}]',
        "Create an index for this key or use a different filter.",
    )


def needed_indexes(condition: Condition, inside: str = "") -> Iterator[tuple[str, tuple[Need, ...]]]:
    """Every field of a condition (a filter is one) with the kinds of index that could answer it."""
    match condition:
        case FieldCondition(key, predicate):
            yield inside + key, index_kinds(predicate)
        case IsEmpty(key) | IsNull(key):
            yield inside + key, ANY
        case Nested(key, filter):
            yield from needed_indexes(filter, f"{inside}{key.removesuffix('[]')}[].")
        case Filter():
            for each in condition.conditions():
                yield from needed_indexes(each, inside)
        case HasId() | HasVector() | Slice():
            return
        case _:
            assert_never(condition)


def index_kinds(predicate: Predicate) -> tuple[Need, ...]:
    """Which indexes can answer a predicate; none for one that never matches."""
    match predicate:
        case MatchKeyword(word):
            return (Need(FieldKind.KEYWORD), Need(FieldKind.UUID)) if is_uuid(word) else (Need(FieldKind.KEYWORD),)
        case MatchInteger():
            return (LOOKUP,)
        case MatchBool():
            return (Need(FieldKind.BOOL),)
        case MatchAnyKeyword(words) | MatchExceptKeyword(words):
            return _keyword_kinds(words)
        case MatchAnyInteger(numbers) | MatchExceptInteger(numbers):
            return (LOOKUP,) if numbers else ()
        case MatchText() | MatchTextAny() | MatchSubstring():
            return (Need(FieldKind.TEXT),)
        case MatchPhrase():
            return (Need(FieldKind.TEXT, "phrase_matching"),)
        case MatchPrefix():
            return (Need(FieldKind.KEYWORD, "prefix"),)
        case Range():
            return (RANGE, Need(FieldKind.FLOAT))
        case DatetimeRange():
            return (Need(FieldKind.DATETIME),)
        case GeoBoundingBox() | GeoRadius() | GeoPolygon():
            return (Need(FieldKind.GEO),)
        case ValuesCount() | IsEmptyFlag() | IsNullFlag():
            return ANY
        case _:
            assert_never(predicate)


def _keyword_kinds(words: tuple[str, ...]) -> tuple[Need, ...]:
    if not words:
        return ()
    return (Need(FieldKind.KEYWORD), Need(FieldKind.UUID)) if all(map(is_uuid, words)) else (Need(FieldKind.KEYWORD),)


def _measured(condition: Condition) -> tuple[int, int]:
    """How many conditions there are, filters counting as what is in them, and the length of the longest list."""
    match condition:
        case Filter():
            parts = [_measured(each) for each in condition.conditions()]
            return sum(count for count, _ in parts), max((longest for _, longest in parts), default=0)
        case Nested(_, filter):
            return _measured(filter)
        case FieldCondition(_, MatchAnyKeyword(values) | MatchExceptKeyword(values)):
            return 1, len(values)
        case FieldCondition(_, MatchAnyInteger(numbers) | MatchExceptInteger(numbers)):
            return 1, len(numbers)
        case HasId(ids):
            return 1, len(ids)
        case _:
            return 1, 0
