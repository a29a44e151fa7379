"""Filters on payloads alone, against what the reference engine answered without indexes."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from qdrantlite.errors import MalformedRequest, Unsupported
from qdrantlite.query import filter as f
from qdrantlite.query.evaluate import matches, payload_matches, require_supported
from qdrantlite.values.payload import Payload
from qdrantlite.values.record import Record
from qdrantlite.values.vector import DenseVector
from tests.query import filter_cases as cases

RECORDING = json.loads((Path(__file__).parent.parent / "recordings" / "filters.json").read_text())


def passing(one: f.Filter, payloads: Sequence[Payload]) -> list[int]:
    vectors = {"v": DenseVector(np.ones(1, dtype=np.float32))}
    return [i for i, payload in enumerate(payloads) if matches(one, Record(i, payload, vectors))]


@pytest.mark.parametrize(
    ("filters", "payloads", "answers"),
    [
        (cases.plain_filters(), cases.PLAIN, RECORDING["plain"]["None"]),
        (cases.deep_filters(), cases.DEEP, RECORDING["deep"]["None"]),
        (cases.GROUPS, cases.DEEP, RECORDING["groups"]),
    ],
    ids=["plain", "deep", "groups"],
)
def test_answers_equal_the_recorded_ones(
    filters: Sequence[f.Filter], payloads: Sequence[Payload], answers: list[list[int]]
) -> None:
    assert len(filters) == len(answers)
    wrong = {
        str(one): (found, wanted)
        for one, wanted in zip(filters, answers, strict=True)
        if (found := passing(one, payloads)) != wanted
    }
    assert wrong == {}


def test_bool_is_no_integer() -> None:
    one, true = f.FieldCondition("k", f.MatchInteger(1)), f.FieldCondition("k", f.MatchBool(True))
    assert not payload_matches(one, {"k": True})
    assert not payload_matches(true, {"k": 1})
    assert payload_matches(true, {"k": [False, True]})
    assert not payload_matches(f.FieldCondition("k", f.Range(gte=0)), {"k": True})


def test_ids_and_vectors_are_false_for_a_bare_payload() -> None:
    assert not payload_matches(f.HasId((1,)), {})
    assert payload_matches(f.Filter(must_not=(f.HasVector("v"),)), {})


@pytest.mark.parametrize(
    ("condition", "name"),
    [
        (f.FieldCondition("k", f.MatchText("a")), "match text"),
        (f.FieldCondition("k", f.GeoRadius(f.GeoPoint(0, 0), 1)), "geo_radius"),
        (f.FieldCondition("k", f.DatetimeRange(gt=datetime(2020, 1, 1, tzinfo=UTC))), "datetime_range"),
        (f.Slice(2, 0), "slice"),
        (f.Nested("a", f.Filter(should=(f.FieldCondition("k", f.MatchPhrase("a")),))), "match phrase"),
        (f.Filter(min_should=f.MinShould((f.Slice(2, 1),), 1)), "slice"),
    ],
)
def test_conditions_that_are_not_built_are_refused_by_name(condition: f.Condition, name: str) -> None:
    with pytest.raises(Unsupported, match=name):
        require_supported(f.Filter(must_not=(condition,)))


@pytest.mark.parametrize(
    "condition",
    [
        f.FieldCondition("a..b", f.MatchBool(True)),
        f.IsNull("[0]"),
        f.IsEmpty(""),
        f.Nested("a b", f.Filter()),
    ],
)
def test_bad_paths_are_refused(condition: f.Condition) -> None:
    with pytest.raises(MalformedRequest, match="json path"):
        require_supported(f.Filter(must=(condition,)))
