"""Record what the reference engine answers to tests/query/filter_cases.py: ``python -m scripts.record_filters``.

file = {"plain": {index kind: [ids of each filter]}, "deep": {...}, "groups": [ids of each filter]}
"""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, assert_never

import qdrant_edge as edge

from qdrantlite.query import filter as f
from qdrantlite.values.payload import Payload
from qdrantlite.values.schema import FieldKind
from tests.query import filter_cases as cases

TARGET = Path(__file__).parent.parent / "tests" / "recordings" / "filters.json"
KINDS = {
    FieldKind.KEYWORD: edge.PayloadSchemaType.Keyword,
    FieldKind.INTEGER: edge.PayloadSchemaType.Integer,
    FieldKind.FLOAT: edge.PayloadSchemaType.Float,
}


def answers(payloads: Sequence[Payload], filters: Sequence[f.Filter], indexes: dict[str, FieldKind]) -> list[list[Any]]:
    """Ids passing each filter, point i having payload i."""
    with tempfile.TemporaryDirectory() as folder:
        params = edge.EdgeVectorParams(size=1, distance=edge.Distance.Dot)
        shard = edge.EdgeShard.create(f"{folder}/shard", edge.EdgeConfig(vectors={"v": params}))
        for key, kind in indexes.items():
            shard.update(edge.UpdateOperation.create_field_index(key, KINDS[kind]))
        points = [edge.Point(number, {"v": [1.0]}, payload) for number, payload in enumerate(payloads)]
        shard.update(edge.UpdateOperation.upsert_points(points))
        requests = [edge.ScrollRequest(limit=1000, filter=group(one)) for one in filters]
        found = [[record.id for record in shard.scroll(request)[0]] for request in requests]
        shard.close()
    return found


def group(one: f.Filter) -> Any:
    """A filter for the engine."""

    def all_of(conditions: Sequence[f.Condition]) -> list[Any] | None:
        return [condition(inner) for inner in conditions] or None

    least = one.min_should
    minimum = None if least is None else edge.MinShould([condition(c) for c in least.conditions], least.min_count)
    return edge.Filter(
        must=all_of(one.must), should=all_of(one.should), must_not=all_of(one.must_not), min_should=minimum
    )


def condition(one: f.Condition) -> Any:
    """A condition for the engine."""
    match one:
        case f.FieldCondition(key, predicate):
            return field(key, predicate)
        case f.IsEmpty(key):
            return edge.IsEmptyCondition(key)
        case f.IsNull(key):
            return edge.IsNullCondition(key)
        case f.HasId(ids):
            return edge.HasIdCondition(set(ids))
        case f.HasVector(name):
            return edge.HasVectorCondition(name)
        case f.Nested(key, inner):
            return edge.NestedCondition(key, group(inner))
        case f.Filter():
            return group(one)
        case f.Slice():
            raise NotImplementedError(one)
        case _:
            assert_never(one)


def field(key: str, predicate: f.Predicate) -> Any:
    """A field condition for the engine."""
    match predicate:
        case f.MatchKeyword(value) | f.MatchInteger(value):
            return edge.FieldCondition(key, match=edge.MatchValue(value))
        case f.MatchAnyKeyword(values) | f.MatchAnyInteger(values):
            return edge.FieldCondition(key, match=edge.MatchAny(_listed(values)))
        case f.MatchExceptKeyword(values) | f.MatchExceptInteger(values):
            return edge.FieldCondition(key, match=edge.MatchExcept(_listed(values)))
        case f.MatchPrefix(text):
            return edge.FieldCondition(key, match=edge.MatchPrefix(text))
        case f.MatchSubstring(text):
            return edge.FieldCondition(key, match=edge.MatchSubstring(text))
        case f.Range(lt, gt, gte, lte):
            return edge.FieldCondition(key, range=edge.RangeFloat(lt=lt, gt=gt, gte=gte, lte=lte))
        case f.ValuesCount(lt, gt, gte, lte):
            return edge.FieldCondition(key, values_count=edge.ValuesCount(lt=lt, gt=gt, gte=gte, lte=lte))
        case f.IsEmptyFlag(wanted):
            return edge.FieldCondition(key, is_empty=wanted)
        case f.IsNullFlag(wanted):
            return edge.FieldCondition(key, is_null=wanted)
        case _:
            raise NotImplementedError(predicate)


def _listed(values: Sequence[Any]) -> list[Any]:
    return list(values)


def main() -> None:
    """Write the recording."""
    plain, deep = cases.plain_filters(), cases.deep_filters()
    recording = {
        "plain": {
            str(kind and kind.value): answers(cases.PLAIN, plain, {"k": kind} if kind else {}) for kind in cases.INDEXES
        },
        "deep": {
            str(kind and kind.value): answers(cases.DEEP, deep, dict.fromkeys(cases.PATHS, kind) if kind else {})
            for kind in (None, FieldKind.INTEGER)
        },
        "groups": answers(cases.DEEP, cases.GROUPS, {}),
    }
    TARGET.write_text(json.dumps(recording, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
