"""A store agrees with a dict; views see one commit."""

from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdrantlite.storage.point_store import PointStore, create_store
from qdrantlite.storage.store_reader import MISSING, CommittedRows, IdBound, Offsets, RaggedRows
from qdrantlite.storage.vacant import Vacant, ranges_of
from qdrantlite.values.point_id import PointId, id_order
from tests.storage.stored_points import FILES, all_ids, insert, put

IDS: st.SearchStrategy[PointId] = st.one_of(
    st.integers(0, 20), st.sampled_from([2**63 - 1, 2**63, 10**19, 2**64 - 1]), st.builds(UUID, int=st.integers(0, 3))
)


def _offsets(*offsets: int) -> Offsets:
    return np.array(offsets, np.uint32)


def test_ids_scan_in_the_order_of_ids(store: PointStore) -> None:
    ids: list[PointId] = [UUID(int=5), 2**64 - 1, 3, UUID(int=2**127), 2**63, 0, 2**63 - 1, 10**19, 9, UUID(int=1), 10]
    put(store, ids)
    ordered = sorted(ids, key=id_order)
    with store.open_view() as view:
        everything, beyond = view.walk_ids(IdBound.at(None), 100)
        assert view.ids(everything) == ordered
        assert len(view.walk_ids(beyond, 100)[0]) == 0
        some = np.sort(everything[::2])
        for place, start in enumerate(ordered):
            bound = IdBound.at(start)
            found, beyond = view.walk_ids(bound, 3)
            assert view.ids(found) == ordered[place : place + 3]
            assert view.ids(view.walk_ids(beyond, 2)[0]) == ordered[place + 3 : place + 5]
            first = view.ids(view.first_by_id(some, bound, 2))
            assert first == ordered[place + place % 2 :: 2][:2]
        assert view.ids(view.walk_ids(IdBound.at(4), 1)[0]) == [9]
        np.testing.assert_array_equal(view.offsets_of(ids), np.arange(len(ids)))


def test_reads_answer_in_the_order_asked_with_repeats(store: PointStore) -> None:
    store.writer.begin()
    insert(store, [5, UUID(int=9), 2**63], [b'{"a":1}', None, b'{"c":3}'])
    store.writer.commit()
    with store.open_view() as view:
        asked = _offsets(2, 0, 2, 1)
        records = view.records(asked, with_payload=True)
        assert records.ids == [2**63, 5, 2**63, UUID(int=9)]
        assert records.payloads == [b'{"c":3}', b'{"a":1}', b'{"c":3}', None]
        assert records.versions == [7] * 4
        assert view.payloads(asked) == records.payloads
        assert view.records(asked, with_payload=False).payloads == [None] * 4
        assert view.offsets_of([7, UUID(int=9), 5, UUID(int=8), 5]).tolist() == [MISSING, 1, 0, MISSING, 0]
        assert view.offsets_of([]).tolist() == []
        assert view.records(_offsets(), with_payload=True).ids == []


def test_view_sees_its_commit_while_the_writer_goes_on(store: PointStore) -> None:
    put(store, [1, 2])
    old = store.open_view()
    store.writer.begin()
    insert(store, [3])
    store.writer.delete_offsets(_offsets(0))
    assert all_ids(store.writer) == [2, 3]
    during = store.open_view()
    store.writer.commit()
    new = store.open_view()
    assert all_ids(old) == all_ids(during) == [1, 2]
    assert old.state().points == 2
    assert all_ids(new) == [2, 3]
    assert new.state().points == 2
    assert new.state().offset_next == 3
    stream = new.live_offsets()
    for view in (old, during, new, new):
        view.close()
    with pytest.raises(Exception, match="closed"):
        next(stream)


def test_savepoint_undoes_one_request_alone(store: PointStore) -> None:
    writer = store.writer
    writer.begin()
    writer.savepoint()
    insert(store, [1])
    writer.release()
    writer.savepoint()
    insert(store, [2])
    writer.delete_offsets(_offsets(0))
    writer.put_operation(9)
    writer.rollback_to()
    writer.savepoint()
    insert(store, [3])
    writer.release()
    writer.commit()
    assert all_ids(writer) == [1, 3]
    state = writer.state()
    assert (state.points, state.offset_next, state.operation_id, state.touched_seq) == (2, 2, 0, 0)
    writer.begin()
    insert(store, [4])
    writer.rollback()
    assert writer.state() == state
    with store.open_view() as view:
        assert view.state() == state


def test_touched_log_tells_changes_and_deaths_across_trimming(store: PointStore) -> None:
    writer = store.writer
    put(store, [0, 1, 2, 3])
    writer.begin()
    writer.set_payloads(_offsets(1, 2), [b"{}", None], version=9)
    writer.set_presence(_offsets(1), [0], version=9)
    writer.delete_offsets(_offsets(2))
    writer.commit()
    touched = writer.touched_since(0)
    assert touched is not None
    assert (touched.seq, touched.changed.tolist(), touched.dead.tolist()) == (4, [1], [2])
    writer.begin()
    writer.trim_touched(4)
    writer.commit()
    writer.begin()
    writer.set_payloads(_offsets(3), [b"[]"], version=10)
    writer.commit()
    assert writer.touched_since(3) is None
    later = writer.touched_since(4)
    assert later is not None
    assert (later.seq, later.changed.tolist(), later.dead.tolist()) == (5, [3], [])


def test_sparse_and_ragged_rows_come_back_and_die_with_their_point(store: PointStore) -> None:
    writer = store.writer
    writer.begin()
    vector, multi = writer.create_vector("s"), writer.create_vector("m")
    offsets = insert(store, [1, 2, 3])
    indices = [np.array([4, 9], np.uint32), np.array([], np.uint32)]
    weights = [np.array([0.5, -1], np.float32), np.array([], np.float32)]
    writer.put_sparse(vector, offsets[:2], indices=indices, weights=weights, fresh=True)
    writer.put_ragged(multi, RaggedRows(offsets[1:], np.array([0, 5]), np.array([5, 2])), fresh=True)
    writer.commit()
    with store.open_view() as view:
        rows = view.sparse(vector, _offsets(2, 0, 1))
        assert rows.present.tolist() == [False, True, True]
        assert rows.bounds.tolist() == [0, 0, 2, 2]
        assert rows.indices.tolist() == [4, 9]
        assert rows.weights.tolist() == [0.5, -1]
        ragged = view.ragged(multi, _offsets(2, 0, 1))
        assert (ragged.starts.tolist(), ragged.counts.tolist()) == ([5, 0, 0], [2, 0, 5])
    writer.begin()
    assert writer.delete_offsets(_offsets(0, 1)) == 2
    writer.commit()
    assert list(writer.iter_sparse(vector)) == []
    (left,) = writer.iter_ragged(multi)
    assert (left.offsets.tolist(), left.starts.tolist(), left.counts.tolist()) == ([2], [5], [2])


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
def test_any_number_of_rows_is_written(store: PointStore, count: int) -> None:
    writer, numbers = store.writer, list(range(count))
    writer.begin()
    vector, multi = writer.create_vector("s"), writer.create_vector("m")
    offsets = insert(store, [number + 5 for number in numbers], [b"[%d]" % number for number in numbers])
    indices, weights = offsets[:, np.newaxis], offsets[:, np.newaxis].astype(np.float32)
    writer.put_sparse(vector, offsets, indices=list(indices), weights=list(weights), fresh=False)
    starts = offsets.astype(np.int64) * 3
    writer.put_ragged(multi, RaggedRows(offsets, starts, starts + 1), fresh=False)
    writer.commit()
    with store.open_view() as view:
        records = view.records(offsets, with_payload=True)
        assert records.ids == [number + 5 for number in numbers]
        assert records.payloads == [b"[%d]" % number for number in numbers]
        assert view.sparse(vector, offsets).indices.tolist() == numbers
        assert view.sparse(vector, offsets).weights.tolist() == numbers
        ragged = view.ragged(multi, offsets)
        assert (ragged.starts.tolist(), ragged.counts.tolist()) == (starts.tolist(), (starts + 1).tolist())
    touched = writer.touched_since(0)
    assert touched is not None
    assert (touched.seq, touched.changed.tolist()) == (2 * count, numbers)


def test_vector_ids_are_never_reused_and_take_their_rows_along(store: PointStore) -> None:
    writer = store.writer
    writer.begin()
    assert (writer.create_vector(""), writer.create_vector("b")) == (0, 1)
    writer.put_rows(1, rows=70, crc=5, finished=[(0, 2**32 - 1), (1, 8)])
    assert writer.committed_rows(1) == CommittedRows(70, 5)
    assert writer.row_checksums(1).tolist() == [2**32 - 1, 8]
    assert writer.drop_vector("b") == 1
    assert writer.create_vector("b") == 2
    writer.commit()
    assert writer.vector_ids() == {"": 0, "b": 2}
    assert writer.committed_rows(1) == CommittedRows(0, 0)
    assert writer.row_checksums(1).tolist() == []


def test_rows_that_were_put_and_taken_back_are_not_committed(store: PointStore) -> None:
    writer = store.writer
    with writer.begun():
        writer.put_rows(0, rows=3, crc=9, finished=[])
        writer.commit()
    writer.begin()
    writer.savepoint()
    writer.put_rows(0, rows=5, crc=1, finished=[])
    assert writer.committed_rows(0) == CommittedRows(5, 1)
    writer.rollback_to()
    assert writer.committed_rows(0) == CommittedRows(3, 9)
    writer.put_rows(0, rows=7, crc=2, finished=[])
    writer.rollback()
    assert writer.committed_rows(0) == CommittedRows(3, 9)
    with store.open_view() as view:
        assert view.committed_rows(0) == CommittedRows(3, 9)


def test_vacant_ranges_are_kept_until_their_vector_goes(tmp_path: Path, store: PointStore) -> None:
    writer = store.writer
    assert not writer.vacant()
    writer.begin()
    for name in "ab":
        writer.create_vector(name)
    writer.put_vacant(Vacant(ranges_of([(0, 64), (128, 256)]), {0: ranges_of([(3, 9)]), 1: ranges_of([(0, 7)])}))
    writer.commit()
    writer.begin()
    writer.drop_vector("a")
    writer.commit()
    store.close()
    store = PointStore(tmp_path / "points.sqlite3", files=FILES)
    with store.open_view() as view:
        vacant = view.vacant()
    assert vacant.offsets.tolist() == [[0, 64], [128, 256]]
    assert {vector: ranges.tolist() for vector, ranges in vacant.rows.items()} == {1: [[0, 7]]}
    store.close()


def test_presence_holds_any_number_of_vectors(store: PointStore) -> None:
    masks = [0b101, 1 << 62, 1 << 63, (1 << 100) | 1, 0]
    writer = store.writer
    writer.begin()
    writer.insert_points(np.arange(5, dtype=np.uint32), range(5), version=0, payloads=[None] * 5, presence=masks)
    writer.commit()
    with store.open_view() as view:
        assert view.presence(_offsets(4, 3, 2, 1, 0)) == masks[::-1]
        for vector in (0, 1, 2, 62, 63, 64, 100, 200):
            expected = [offset for offset, mask in enumerate(masks) if mask >> vector & 1]
            assert [o for chunk in view.present_offsets(vector) for o in chunk.tolist()] == expected


def test_streams_cover_all_chunks(store: PointStore) -> None:
    count = 70_000
    writer = store.writer
    writer.begin()
    payloads: list[bytes | None] = [b"1", None] * (count // 2)
    offsets = np.arange(count, dtype=np.uint32)
    writer.insert_points(offsets, range(count), version=1, payloads=payloads, presence=[3] * count)
    writer.delete_offsets(_offsets(0, 65536))
    writer.commit()
    live = np.setdiff1d(offsets, [0, 65536])
    with store.open_view() as view:
        np.testing.assert_array_equal(np.concatenate(list(view.live_offsets())), live)
        np.testing.assert_array_equal(np.concatenate(list(view.present_offsets(1, 60_000))), live[live >= 60_000])
        pairs = list(view.iter_payloads(50_000))
        np.testing.assert_array_equal(np.concatenate([chunk for chunk, _ in pairs]), live[live >= 50_000])
        assert [p for _, chunk in pairs for p in chunk] == [payloads[o] for o in live[live >= 50_000].tolist()]


@given(data=st.data())
def test_agrees_with_a_dict_through_restarts(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("store") / "points.sqlite3"
    create_store(path, files=FILES)
    store = PointStore(path, files=FILES)
    model: dict[PointId, tuple[int, bytes | None]] = {}
    for _ in range(data.draw(st.integers(1, 8))):
        trial = dict(model)
        store.writer.begin()
        for point_id in data.draw(st.lists(IDS, max_size=5, unique=True)):
            old = int(store.writer.offsets_of([point_id])[0])
            assert old == (trial[point_id][0] if point_id in trial else MISSING)
            if old != MISSING:
                store.writer.delete_offsets(_offsets(old))
                del trial[point_id]
            if data.draw(st.booleans()):
                payload = data.draw(st.sampled_from([None, b'{"a":"\xc3\xbc"}']))
                trial[point_id] = int(insert(store, [point_id], [payload])[0]), payload
        if data.draw(st.booleans()):
            store.writer.commit()
            model = trial
        else:
            store.writer.rollback()
        if data.draw(st.booleans()):
            store.close()
            store = PointStore(path, files=FILES)
        with store.open_view() as view:
            offsets = view.walk_ids(IdBound.at(None), 1000)[0]
            ids = view.ids(offsets)
            found = zip(offsets.tolist(), view.payloads(offsets), strict=True)
            assert dict(zip(ids, found, strict=True)) == model
            assert ids == sorted(model, key=id_order)
            assert view.state().points == len(model)
    store.close()
