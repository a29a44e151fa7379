"""What was found for one state serves those that follow it: brought forward, it is what would be found anew."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from qdrantlite.collection.read import filter_source, prepare
from qdrantlite.collection.read.filter_source import selections_of, sieve
from qdrantlite.collection.read.view import ReadView
from qdrantlite.collection.shard.shard import KeptPlan
from qdrantlite.database import Database
from qdrantlite.deadline import FOREVER, Deadline
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.query.filter import (
    Condition,
    FieldCondition,
    Filter,
    HasId,
    HasVector,
    IsEmpty,
    IsNull,
    MatchExceptKeyword,
    MatchText,
    MinShould,
    Nested,
    Slice,
)
from qdrantlite.segment import lately as lately_module
from qdrantlite.segment.lately import Lately
from qdrantlite.segment.selection import Selection
from qdrantlite.values.payload import Json
from qdrantlite.values.vector import Vector
from tests.collection.compacted import untended
from tests.collection.small import (
    INTEGER,
    KEYWORD,
    NAME,
    collection_of,
    color,
    dense,
    found,
    ids,
    nearest,
    opened,
    passing,
    point,
    size,
    sparse,
    upsert,
    where,
    write,
)

IDS = 40
COLORS = ("red", "green", "blue")
CONDITIONS: tuple[Condition, ...] = (
    *(color("red"), color("green"), size(1), size(2), FieldCondition("color", MatchExceptKeyword(("red",)))),
    *(IsEmpty("color"), IsNull("color"), IsEmpty("size"), HasVector("words"), HasVector("many"), HasId((1, 2, 3, 50))),
    *(Slice(3, 1), FieldCondition("name", MatchText("a")), IsEmpty("name")),
    Nested("parts", Filter(must=(FieldCondition("color", color("red").predicate),))),
)
FILTERS = (
    *(Filter(must=(condition,)) for condition in CONDITIONS),
    *(Filter(must_not=(condition,)) for condition in CONDITIONS),
    Filter(must=(size(1),), should=(color("red"), color("blue"))),
    Filter(min_should=MinShould((color("red"), size(1), HasVector("words")), 2)),
    Filter(must=(Filter(must_not=(color("red"), IsEmpty("name"))), HasVector(""))),
)


def searches() -> list[s.Search]:
    """Of every kind that shares plans."""
    plain = [nearest(dense(1, 2), "", 3), nearest(sparse(i1=1, i2=2), "words", 3), nearest(dense(1, 2), "many", 3)]
    chosen = [nearest(dense(1, 2), "", 3, *must) for must in ((color("red"),), (size(1), HasVector("words")))]
    leaves = (chosen[0].stage, s.Prefetch(query=s.Nearest(sparse(i1=1, i2=3)), using="words", limit=3))
    fused = s.Prefetch(query=s.Fusion(s.FusionKind.RRF), prefetch=leaves, limit=3, filter=Filter(must_not=(size(2),)))
    return [*plain, *chosen, s.Search(fused), s.Search(chosen[0].stage, offset=1)]


def random_write(database: Database, rng: np.random.Generator) -> None:
    """One request of any kind, of a few points."""

    names: tuple[Json, ...] = ("a b", "b", ["a", "c"])

    def payload() -> dict[str, Json]:
        every: dict[str, Json] = {
            "color": (*COLORS, None)[rng.integers(4)],
            "size": int(rng.integers(4)),
            "name": names[rng.integers(3)],
            "parts": [{"color": COLORS[rng.integers(3)]}],
        }
        return {key: value for key, value in every.items() if rng.integers(3)}

    chosen = [int(each) for each in rng.integers(IDS, size=rng.integers(1, 4))]
    vectors: dict[str, Vector] = {"": dense(*rng.normal(size=2)), "words": sparse(i1=float(rng.random()) + 0.1, i2=1)}
    kept = {name: vector for name, vector in vectors.items() if rng.integers(4)}
    operations: list[o.Operation] = [
        *[upsert(*(point(each, kept if rng.integers(2) else None, **payload()) for each in chosen))] * 3,
        o.SetPayload(payload(), where(color(COLORS[rng.integers(3)]))),
        o.OverwritePayload(payload(), where(size(int(rng.integers(4))))),
        o.DeletePoints(where(color(COLORS[rng.integers(3)]), size(1))),
        o.DeletePoints(ids(*chosen)),
        o.DeleteVectors(where(size(int(rng.integers(4)))), ("words",)),
    ]
    write(database, *(operations[at] for at in rng.choice(len(operations), size=rng.integers(1, 3), replace=False)))


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """How often answers were brought forward, the very same ones among them, and plans served another state."""
    counts = Counter[str]()
    forward, holds = filter_source._brought_forward, prepare._holds

    def brought_forward(
        view: ReadView,
        filter: Filter,
        before: Selection,
        touched: Selection,
        deadline: Deadline,
        *,
        none_pass: bool,
    ) -> Selection:
        after = forward(view, filter, before, touched, deadline, none_pass=none_pass)
        counts["same" if after is before else "other"] += 1
        counts["lacked"] += none_pass
        return after

    def plan_holds(view: ReadView, kept: KeptPlan, deadline: Deadline) -> bool:
        is_older = kept.number != view.state.lately.number
        held = holds(view, kept, deadline)
        counts["plans"] += held and is_older
        return held

    with (
        patch.object(filter_source, "_brought_forward", brought_forward),
        patch.object(prepare, "_holds", plan_holds),
    ):
        yield counts


@contextmanager
def plans_carried() -> Iterator[None]:
    """However few the points are."""
    with patch.object(prepare, "CARRIED_POINTS_MIN", 6), patch.object(prepare, "CHANGED_SHARE_MAX", 1.0):
        yield


@pytest.mark.parametrize("seed", range(6))
def test_answers_brought_forward_are_those_found_anew(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    with untended(), opened(tmp_path) as database, plans_carried(), counted() as counts:
        if seed % 3:
            database.alter(NAME, o.CreateFieldIndex("color", KEYWORD))
            database.alter(NAME, o.CreateFieldIndex("size", INTEGER))
        write(database, upsert(*(point(number, size=3) for number in range(IDS, 2 * IDS))))
        collection = collection_of(database)
        for step in range(80):
            random_write(database, rng)
            if step % 20 == 19:
                collection.tend_columns(lambda: False)
                collection.maintain(idle=step % 40 == 39)
            for at in rng.choice(len(FILTERS), size=4, replace=False):
                with collection.open_view() as view:
                    anew = sieve(view, FILTERS[at], FOREVER).settle().offsets().tolist()
                    (known,) = selections_of(view, [FILTERS[at]])
                    assert known is not None
                    assert known.offsets().tolist() == anew, (FILTERS[at], view.state.lately.number)
            for search in searches():
                if rng.integers(3) == 0:
                    answer = database.search(NAME, search)
                    with patch.object(prepare, "shape_of", return_value=None):
                        assert database.search(NAME, search) == answer
    assert min(counts["same"], counts["other"], counts["plans"]) > 10, counts
    assert (counts["lacked"] > 0) == bool(seed % 3)


def test_a_reader_of_an_older_state_is_not_given_what_was_found_since(tmp_path: Path) -> None:
    with untended(), opened(tmp_path) as database:
        write(database, upsert(point(1, color="red"), point(2, color="blue")))
        red = Filter(must=(color("red"),))
        with collection_of(database).open_view() as older:
            write(database, upsert(point(3, color="red")), o.DeletePoints(ids(1)))
            assert passing(database, color("red")) == [3]
            (seen,) = selections_of(older, [red])
            assert seen is not None
            assert older.ids(seen.offsets()).to_list() == [1]
        assert passing(database, color("red")) == [3]


def test_a_point_that_lost_a_vector_keeps_its_words(tmp_path: Path) -> None:
    with untended(), opened(tmp_path) as database:
        database.alter(NAME, o.CreateFieldIndex("color", KEYWORD))
        write(database, upsert(point(1, color="red"), point(2, color="blue")))
        assert passing(database, color("red")) == [1]
        write(database, o.DeleteVectors(ids(1), ("words",)))
        assert passing(database, color("red")) == [1]
        write(database, o.SetPayload({"color": ["blue", "red"]}, ids(2)))
        assert passing(database, color("red")) == [1, 2]


def test_what_a_change_of_the_schema_may_answer_otherwise_is_forgotten(tmp_path: Path) -> None:
    number = FieldCondition("size", size(1).predicate)
    with untended(), opened(tmp_path) as database:
        write(database, upsert(point(1, size=1), point(2, size=2)))
        assert passing(database, number) == [1]
        before = collection_of(database).shard.state.answers
        database.alter(NAME, o.CreateFieldIndex("size", INTEGER))
        assert collection_of(database).shard.state.answers is not before
        assert passing(database, number) == [1]


def test_a_plan_is_made_anew_when_a_stage_may_want_what_was_not_there(tmp_path: Path) -> None:
    with untended(), opened(tmp_path) as database, plans_carried():
        write(database, upsert(*(point(number) for number in range(8))))
        everything = nearest(dense(1, 0), "", 100)
        assert len(found(database, everything)) == 8
        write(database, upsert(point(8)))
        assert len(found(database, everything)) == 9


def test_a_plan_that_left_out_a_filter_does_not_serve_who_fails_it(tmp_path: Path) -> None:
    with untended(), opened(tmp_path) as database, plans_carried():
        write(database, upsert(*(point(number, color="red") for number in range(8))))
        red = nearest(dense(1, 0), "", 2, color("red"))
        assert found(database, red) == [7, 6]
        write(database, upsert(point(8, color="blue")))
        assert found(database, red) == [7, 6]


def test_lately_knows_a_bounded_past() -> None:
    def offsets(*given: int) -> "np.ndarray[tuple[int], np.dtype[np.uint32]]":
        return np.array(given, dtype=np.uint32)

    first = Lately()
    second = first.after(offsets(1, 2)).after(offsets(2, 7))
    since = second.since(first.number)
    assert since is not None
    assert since.offsets().tolist() == [1, 2, 7]
    assert len(second.since(second.number) or []) == 0
    assert first.since(second.number) is None
    with patch.object(lately_module, "COMMITS_MAX", 2):
        assert second.after(offsets(9)).since(first.number) is None
    with patch.object(lately_module, "OFFSETS_MAX", 2):
        third = second.after(offsets(4))
        assert third.since(second.number) is not None
        assert third.since(first.number) is None
        assert third.after(offsets(1, 2, 3)).since(third.number) is None
