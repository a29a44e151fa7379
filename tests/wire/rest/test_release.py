"""What a long request has made is freed bit by bit."""

import sys
from types import FrameType
from typing import Any

import pytest

from qdrantlite.query.operation import PointWrite, Upsert
from qdrantlite.values.payload import Json
from qdrantlite.wire.rest.release import PARTS_ENOUGH, release

MANY = 3 * PARTS_ENOUGH


class Witness(str):
    """Notes at its end how many lines of ``release`` had run."""

    __slots__ = ()
    lines: int
    ends: list[int]

    def __del__(self) -> None:
        Witness.ends.append(Witness.lines)


@pytest.fixture(autouse=True)
def _counted() -> Any:
    Witness.lines, Witness.ends = 0, []

    def count(frame: FrameType, event: str, _argument: object) -> Any:
        if frame.f_code is release.__code__ or event == "call":
            Witness.lines += event == "line"
            return count if frame.f_code is release.__code__ else None
        return None

    before = sys.gettrace()
    sys.settrace(count)
    yield
    sys.settrace(before)


def witnesses() -> list[Json]:
    return [Witness() for _ in range(MANY)]


def upsert(payloads: list[Json]) -> Upsert:
    return Upsert(tuple(PointWrite(at, {}, {"a": payload}) for at, payload in enumerate(payloads)))


@pytest.mark.parametrize(
    "made",
    [
        lambda: witnesses(),
        lambda: tuple(witnesses()),
        lambda: {str(at): witness for at, witness in enumerate(witnesses())},
        lambda: {"points": witnesses()},
        lambda: [[[{"a": {"b": witnesses()}}]]],
        lambda: upsert(witnesses()),
        lambda: (upsert([witnesses()]), None),
    ],
)
def test_every_part_is_freed_by_itself(made: Any) -> None:
    held = [made()]
    release(held)
    assert held == []
    assert len(Witness.ends) == MANY
    assert len(set(Witness.ends)) == MANY


def test_what_others_refer_to_stays_as_it_is() -> None:
    kept: Json = {"a": [1, {"b": [Witness(), None]}], "c": {}}
    release([[kept, [Witness()]], kept, upsert([kept])])
    assert len(Witness.ends) == 1
    assert kept == {"a": [1, {"b": ["", None]}], "c": {}}
