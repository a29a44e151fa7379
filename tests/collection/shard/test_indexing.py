"""Indexes that lag behind small commits answer as those that take up each at once, whenever they are asked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from qdrantlite.collection.shard import indexing
from qdrantlite.collection.shard.changes import (
    Changes,
    Inserted,
    MultiInsert,
    PayloadsChanged,
    SparseInsert,
    VectorsRemoved,
)
from qdrantlite.collection.shard.indexing import Indexes, index_among
from qdrantlite.query.filter import IsNullFlag, MatchInteger, MatchKeyword, Predicate
from qdrantlite.segment.payload_index.index import make_index
from qdrantlite.segment.row_bounds import NO_BOUNDS
from qdrantlite.segment.sparse import SparseIndex
from qdrantlite.values.payload import Payload
from qdrantlite.values.point_ids import PointIds
from qdrantlite.values.schema import FieldIndex, FieldKind
from qdrantlite.values.vector import U32, SparseVector

KINDS = {"color": FieldKind.KEYWORD, "size": FieldKind.INTEGER}
COLORS, SIZES = ("red", "green", "blue"), range(3)
PREDICATES: dict[str, list[Predicate]] = {
    "color": [*map(MatchKeyword, COLORS), IsNullFlag(True)],
    "size": [*map(MatchInteger, SIZES)],
}

PAYLOAD = st.fixed_dictionaries(
    {},
    optional={
        "color": st.sampled_from([*COLORS, None]) | st.lists(st.sampled_from(COLORS), max_size=2),
        "size": st.sampled_from(SIZES),
    },
)
CHOICE = st.lists(st.integers(0, 30), min_size=1, max_size=4)
OPERATION = st.one_of(
    st.tuples(st.just("insert"), st.lists(PAYLOAD, min_size=1, max_size=4)),
    st.tuples(st.just("delete"), CHOICE),
    st.tuples(st.just("change"), st.lists(st.tuples(st.integers(0, 30), PAYLOAD), min_size=1, max_size=3)),
    st.tuples(st.just("remove"), CHOICE),
)
COMMIT = st.tuples(
    st.lists(OPERATION, max_size=3), st.sets(st.sampled_from(["color", "size", "words", "many"]), max_size=2)
)
"""What a commit does, and which indexes are asked after it."""


@dataclass(slots=True)
class History:
    """What has been given out and what lives."""

    rows: int = 0
    live: list[int] = field(default_factory=list)
    worded: list[int] = field(default_factory=list)

    def changes(self, operations: Sequence[tuple[str, Sequence[object]]]) -> Changes:
        """One transaction's; operations that find nothing to do are passed over."""
        changes = Changes()
        for name, arguments in operations:
            if name == "insert":
                changes.inserted.append(self._insert([dict(each) for each in arguments if isinstance(each, dict)]))
            elif name == "change":
                self._change(changes, arguments)
            else:
                among = self.live if name == "delete" else self.worded
                chosen = {among[at % len(among)] for at in arguments if among and isinstance(at, int)}
                self.worded = [offset for offset in self.worded if offset not in chosen]
                if chosen and name == "delete":
                    self.live = [offset for offset in self.live if offset not in chosen]
                    changes.dead.append(_offsets(chosen))
                elif chosen:
                    changes.vectors_removed.append(VectorsRemoved("words", _offsets(chosen)))
        return changes

    def _insert(self, payloads: list[Payload]) -> Inserted:
        offsets = np.arange(self.rows, self.rows + len(payloads), dtype=np.uint32)
        self.rows += len(payloads)
        self.live += offsets.tolist()
        self.worded += offsets.tolist()
        vectors = [SparseVector(_offsets({at % 3}), np.ones(1, dtype=np.float32)) for at in offsets.tolist()]
        multi = MultiInsert(offsets, offsets.astype(np.int64) * 2, np.full(len(offsets), 2, dtype=np.int64))
        ids = PointIds.of([1000 + at for at in offsets.tolist()])
        return Inserted(offsets, ids, payloads, {}, {"words": SparseInsert(offsets, vectors)}, {"many": multi})

    def _change(self, changes: Changes, arguments: Sequence[object]) -> None:
        after = {
            self.live[each[0] % len(self.live)]: dict(each[1])
            for each in arguments
            if isinstance(each, tuple) and self.live
        }
        if after:
            offsets = np.array(list(after), dtype=np.uint32)
            changes.payloads.append(PayloadsChanged(offsets, list(after.values())))


def _offsets(offsets: set[int]) -> U32:
    return np.array(sorted(offsets), dtype=np.uint32)


def answers(indexes: Indexes, name: str, rows: int) -> Iterator[object]:
    """Everything that can be asked of one index."""
    if name in indexes.fields:
        index = indexes.fields[name]
        for predicate in PREDICATES[name]:
            found = index.match(predicate)
            assert found is not None
            yield found.to_array().tolist()
        yield [offsets.to_array().tolist() for offsets in index.valued()]
    elif name == "words":
        view = indexes.sparse[name].view()
        for number in range(3):
            every = np.arange(rows, dtype=np.uint32)
            query = SparseVector(_offsets({number}), np.ones(1, dtype=np.float32))
            yield view.score(query, every)[1].tolist()
    elif rows:
        yield indexes.bounds[name].at(np.arange(rows, dtype=np.uint32)).starts.tolist()


@given(st.lists(COMMIT, max_size=14), st.sampled_from([(2, 3), (64, 6), (64, 256)]))
def test_lagging_indexes_answer_as_those_that_never_wait(
    commits: Sequence[tuple[Sequence[tuple[str, Sequence[object]]], set[str]]], bounds: tuple[int, int]
) -> None:
    fields = {key: make_index(FieldIndex(kind)) for key, kind in KINDS.items()}
    lagging = prompt = Indexes(fields, {"words": SparseIndex()}, bounds={"many": NO_BOUNDS})
    history, seen = History(), list[tuple[Indexes, Indexes, int]]()
    for operations, asked in commits:
        changes = history.changes(operations)
        with patch.multiple(indexing, WAITING_COMMITS_MAX=bounds[0], WAITING_OFFSETS_MAX=bounds[1]):
            lagging = lagging.after(changes)
        with patch.multiple(indexing, WAITING_OFFSETS_MAX=-1):
            prompt = prompt.after(changes)
        seen.append((lagging, prompt, history.rows))
        few = BitMap(changes.touched()) if not changes.is_empty else BitMap()
        for key, predicates in PREDICATES.items():
            among = index_among(lagging.fields, key, few)
            assert among is not None
            found, known = [index.match for index in (among, prompt.fields[key])]
            assert [(found(each) or BitMap()) & few for each in predicates] == [
                (known(each) or BitMap()) & few for each in predicates
            ]
            assert [held & few for held in among.valued()] == [held & few for held in prompt.fields[key].valued()]
        for name in sorted(asked):
            assert [*answers(lagging, name, history.rows)] == [*answers(prompt, name, history.rows)]
    for late, early, rows in seen:
        for name in ("color", "size", "words", "many"):
            assert [*answers(late, name, rows)] == [*answers(early, name, rows)]
        assert [*late.ids.get().at(np.arange(rows, dtype=np.uint32)).to_list()] == [1000 + at for at in range(rows)]


def test_what_waits_is_bounded() -> None:
    indexes = Indexes({}, {})
    history = History()
    with patch.object(indexing.Lagging, "get", autospec=True, side_effect=indexing.Lagging.get) as taken_up:
        for _ in range(indexing.WAITING_COMMITS_MAX + 1):
            indexes = indexes.after(history.changes([("insert", [{"color": "red"}])]))
        assert taken_up.call_count == 1
        indexes.after(history.changes([("insert", [{"color": "red"}] * (indexing.WAITING_OFFSETS_MAX + 1))]))
        assert taken_up.call_count == 2
