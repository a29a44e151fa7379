"""Bounds of single fields and the texts that clients match on."""

from collections.abc import Callable

import pytest

from qdrantlite.errors import ValidationFailed
from qdrantlite.wire import bounds

REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: bounds.at_least("limit", 0, 1), "limit: value 0 invalid, must be 1 or larger"),
    (lambda: bounds.at_least("b", float("nan"), 0.0), "b: value nan invalid, must be 0.0 or larger"),
    (lambda: bounds.at_most("n", 3, 2), "n: value 3 invalid, must be 2 or smaller"),
    (lambda: bounds.at_most("n", float("nan"), 2.0), "n: value nan invalid, must be 2.0 or smaller"),
    (lambda: bounds.within("size", 65537, 1, 65536), "size: value 65537 invalid, must be from 1 to 65536"),
    (lambda: bounds.within("x", float("nan"), 0.0, 1.0), "x: value nan invalid, must be from 0.0 to 1.0"),
    (lambda: bounds.not_empty("key", ""), 'key: value "" invalid, must be 1 or more characters'),
    (lambda: bounds.not_empty("points", []), 'points: value "[]" invalid, must be 1 or more elements'),
    (lambda: bounds.collection_name("a\0b"), 'collection_name: collection name cannot contain "\\0" char'),
    (lambda: bounds.new_vector_name("a|b"), 'vector_name: vector name cannot contain "|" char'),
]


@pytest.mark.parametrize(("check", "text"), REFUSED)
def test_value_out_of_bounds_is_refused(check: Callable[[], object], text: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        check()
    assert caught.value.text == text
    assert caught.value.message == f"Validation error in body: [{text}]"


def test_bounds_themselves_are_allowed() -> None:
    bounds.at_least("x", 1, 1)
    bounds.at_most("x", 1, 1)
    bounds.within("x", 0.0, 0.0, 1.0)
    bounds.within("x", 1.0, 0.0, 1.0)
    assert bounds.collection_name("x" * 255) == "x" * 255
    assert bounds.collection_name("é" * 255) == "é" * 255
    assert bounds.new_vector_name("x" * 200) == "x" * 200


def test_failures_name_the_way_to_the_field() -> None:
    def decode(value: int) -> int:
        bounds.at_least("limit", value, 1)
        return value

    assert bounds.inside("a", decode, 1) == 1
    assert bounds.each_inside("a", decode, [1, 2]) == (1, 2)
    with pytest.raises(ValidationFailed, match=r"^outer\.a\[1\]\.limit: value 0"):
        bounds.inside("outer", lambda values: bounds.each_inside("a", decode, values), [1, 0])
