"""Filters on payloads alone, against what the reference engine answered without indexes."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from qdrantlite.errors import MalformedRequest
from qdrantlite.query import filter as f
from qdrantlite.query.evaluate import payload_test
from qdrantlite.values.payload import Payload
from tests.query import filter_cases as cases

RECORDING = json.loads((Path(__file__).parent.parent / "recordings" / "filters.json").read_text())


def passing(one: f.Filter, payloads: Sequence[Payload]) -> "list[int]":
    return np.flatnonzero(payload_test(one)(payloads)).tolist()


def matches(condition: f.Condition, payload: Payload) -> bool:
    return bool(payload_test(condition)([payload])[0])


@pytest.mark.parametrize(
    ("filters", "payloads", "answers"),
    [
        (cases.plain_filters(), cases.PLAIN, RECORDING["plain"]["None"]),
        (cases.deep_filters(), cases.DEEP, RECORDING["deep"]["None"]),
    ],
    ids=["plain", "deep"],
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
    assert not matches(one, {"k": True})
    assert not matches(true, {"k": 1})
    assert matches(true, {"k": [False, True]})
    assert not matches(f.FieldCondition("k", f.Range(gte=0)), {"k": True})


def test_ids_and_vectors_are_false_for_a_bare_payload() -> None:
    assert not matches(f.HasId((1,)), {})
    assert matches(f.Filter(must_not=(f.HasVector("v"),)), {})


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
        payload_test(f.Filter(must=(condition,)))([{}])
