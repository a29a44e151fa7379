"""How deep payloads may nest, and how many steps a key may have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdrantlite.errors import BadInput
from qdrantlite.values.payload import (
    DEPTH_MAX,
    Json,
    Payload,
    elements_at,
    elements_of,
    parse_path,
    require_readable,
    set_payload,
)

VALUES = st.recursive(
    st.none() | st.integers(0, 1), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("b"), inner)
)
WRAPPERS = st.lists(st.sampled_from(("object", "array")), max_size=2 * DEPTH_MAX)


def nested(wrappers: list[str]) -> Json:
    value: Json = 1
    for wrapper in wrappers:
        value = {"a": value, "b": 2} if wrapper == "object" else [3, value]
    return value


@given(WRAPPERS)
def test_payload_is_readable_up_to_the_depth(wrappers: list[str]) -> None:
    payload: dict[str, Json] = {"flat": "text", "deep": nested(wrappers)}
    if len(wrappers) <= DEPTH_MAX:
        require_readable(payload)
        return
    with pytest.raises(BadInput, match="nested too deeply"):
        require_readable(payload)


def test_depth_is_not_limited_by_the_stack() -> None:
    with pytest.raises(BadInput):
        require_readable({"a": nested(["array"] * 100_000)})


@pytest.mark.parametrize("steps", [DEPTH_MAX + 1, 250, 260, 10_000])
def test_key_of_more_steps_than_levels_is_refused(steps: int) -> None:
    with pytest.raises(BadInput, match=f"at most {DEPTH_MAX} are allowed, got {steps}"):
        set_payload({}, {"b": 1}, parse_path(".".join(["a"] * steps)))


def test_key_of_as_many_steps_as_levels_is_set() -> None:
    changed = set_payload({}, {"b": 1}, parse_path(".".join(["a"] * DEPTH_MAX)))
    require_readable(changed)
    with pytest.raises(BadInput):
        require_readable({"a": changed})


@given(payloads=st.lists(st.dictionaries(st.sampled_from("ab"), VALUES, max_size=2), max_size=4))
@pytest.mark.parametrize("path", ["a", "a.b", "a[]", "a[0]"])
def test_elements_of_many_are_those_of_each(payloads: list[Payload], path: str) -> None:
    steps = parse_path(path)
    assert elements_of(payloads, steps) == [elements_at(payload, steps) for payload in payloads]
