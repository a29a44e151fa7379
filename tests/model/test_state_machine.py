"""Whatever is done to a database, through every kind of restart, it holds what a dict of points holds and nothing else.

Each step is one request, made on the database and on the model. Restarts: closed and opened; checkpointed and then
abandoned; all derived files deleted; abandoned without a word (the folder is copied while the database is open, and
the copy goes on).
"""

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from qdrantlite.collection.shard.checkpoint import write_checkpoint
from qdrantlite.collection.upkeep.merging import merge_segments
from qdrantlite.database import Database
from qdrantlite.errors import AlreadyExists, BadInput, InvalidRequest, NotFound, StorageFailed
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.storage import file_names
from qdrantlite.storage.vector_file import VectorFile
from qdrantlite.values.distance import Datatype
from qdrantlite.values.record import AliasAction, CreateAlias, DeleteAlias, Record, RenameAlias
from qdrantlite.values.schema import OPTIMIZERS_DEFAULT, CollectionConfig, FieldIndex, VectorParams
from qdrantlite.values.vector import DenseVector, MultiVector, SparseVector, Vector
from tests.collection.compacted import in_place
from tests.collection.small_segments import small_segments
from tests.collection.vacated import small_blocks, vacate_dead
from tests.congruence.compare import assert_same
from tests.model.points_model import PointsModel, Refused
from tests.model.write_strategies import CONFIG, EXTRAS, IDF, INDEXES, broken_operations, first_points, operations
from tests.oracle import Hit, Oracle
from tests.oracle_filter import Point
from tests.oracle_scores import rows_of, stored
from tests.strategies import DIMENSION, NUMBER_KEY, TEXT_INDEX, TEXT_KEY, filters, searches, vectors

NAME, OTHER = "points", "other"
SETTINGS = replace(
    CONFIG, optimizer_config=replace(OPTIMIZERS_DEFAULT, deleted_threshold=0.0, vacuum_min_vector_number=1)
)
ALIASES = ("alias", "second", OTHER)


class DatabaseMachine(RuleBasedStateMachine):
    """One collection that is written and searched, and another that only gets aliases."""

    @initialize(data=st.data())
    def start(self, data: st.DataObject) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="qdrantlite-model-"))
        self.lives = 0
        self.database = Database(self.folder)
        self.database.create_collection(NAME, SETTINGS)
        self.database.create_collection(OTHER, CollectionConfig())
        self.model = PointsModel(SETTINGS)
        self.fields: dict[str, FieldIndex] = {}
        self.aliases: dict[str, str] = {}
        self.request((data.draw(first_points()),), wait=False)

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.compare()
            self.database.close()
            shutil.rmtree(self.root)

    @property
    def folder(self) -> Path:
        return self.root / str(self.lives)

    # -- writes

    @rule(data=st.data(), wait=st.booleans(), again=st.sampled_from([1, 2, 4]))
    def write(self, data: st.DataObject, wait: bool, again: int) -> None:
        for _ in range(again):
            self.write_once(data, wait)

    def write_once(self, data: st.DataObject, wait: bool) -> None:
        some = operations((*self.model.config.vectors, *self.model.config.sparse_vectors))
        self.request(tuple(data.draw(st.lists(some, min_size=1, max_size=3))), wait=wait)

    @rule(data=st.data(), broken=broken_operations(), place=st.integers(0, 2), wait=st.booleans())
    def write_broken(self, data: st.DataObject, broken: o.Operation, place: int, wait: bool) -> None:
        some = operations((*self.model.config.vectors, *self.model.config.sparse_vectors))
        request = data.draw(st.lists(some, max_size=2))
        request.insert(place, broken)
        self.request(tuple(request), wait=wait)

    def request(self, request: tuple[o.Operation, ...], *, wait: bool) -> None:
        try:
            after = self.model.after(request, wait=wait)
        except Refused:
            with pytest.raises((InvalidRequest, NotFound)):
                self.database.write(self.name(), request, wait=wait)
            return
        results = self.database.write(self.name(), request, wait=wait)
        first = self.model.operation_id + 1
        assert [result.operation_id for result in results] == list(range(first, first + len(request)))
        self.model = after

    def name(self) -> str:
        """The collection under its name or, where it has one, an alias."""
        return next((alias for alias, name in self.aliases.items() if name == NAME), NAME)

    # -- the schema

    @rule(key=st.sampled_from(list(INDEXES)), data=st.data(), wanted=st.booleans())
    def change_index(self, key: str, data: st.DataObject, wanted: bool) -> None:
        if not wanted:
            self.schema(o.DeleteFieldIndex(key))
            self.fields.pop(key, None)
            return
        index = data.draw(st.sampled_from(INDEXES[key]))
        self.schema(o.CreateFieldIndex(key, index))
        self.fields[key] = index

    @rule(name=st.sampled_from(list(EXTRAS)), wanted=st.booleans())
    def change_vector(self, name: str, wanted: bool) -> None:
        if wanted:
            self.create_vector(name)
        else:
            self.delete_vector(name)

    def create_vector(self, name: str) -> None:
        params, config = EXTRAS[name], self.model.config
        self.schema(o.CreateVectorName(name, params))
        if isinstance(params, VectorParams):
            self.model.config = replace(config, vectors={**config.vectors, name: params})
        else:
            self.model.config = replace(config, sparse_vectors={**config.sparse_vectors, name: params})

    def delete_vector(self, name: str) -> None:
        config = self.model.config
        self.schema(o.DeleteVectorName(name))
        self.model.config = replace(
            config,
            vectors={key: params for key, params in config.vectors.items() if key != name},
            sparse_vectors={key: params for key, params in config.sparse_vectors.items() if key != name},
        )
        self.model.without_vector(name)

    def schema(self, operation: o.SchemaOperation) -> None:
        self.model.operation_id += 2
        assert self.database.alter(self.name(), operation).operation_id == self.model.operation_id

    @rule(
        actions=st.lists(
            st.one_of(
                st.builds(CreateAlias, st.sampled_from(ALIASES), st.sampled_from((NAME, OTHER, "nobody"))),
                st.builds(RenameAlias, st.sampled_from(ALIASES), st.sampled_from(ALIASES)),
                st.builds(DeleteAlias, st.sampled_from(ALIASES)),
            ),
            min_size=1,
            max_size=3,
        ).map(tuple)
    )
    def change_aliases(self, actions: tuple[AliasAction, ...]) -> None:
        after: dict[str, str] | None = dict(self.aliases)
        for action in actions:
            after = None if after is None else _aliased(after, action)
        if after is None:
            with pytest.raises((AlreadyExists, NotFound)):
                self.database.update_aliases(actions)
        else:
            assert self.database.update_aliases(actions)
            self.aliases = after
        assert self.database.aliases() == tuple(sorted(self.aliases.items()))

    # -- upkeep and restarts

    @rule(failing=st.booleans(), tended=st.booleans())
    def give_back(self, failing: bool, tended: bool) -> None:
        """What is dead, whatever it is; ``failing``: it is recorded, and not given back unless upkeep tries again."""
        punch = patch.object(VectorFile, "punch", side_effect=StorageFailed("no")) if failing else nullcontext()
        with punch, suppress(StorageFailed):
            self.database._on(NAME, lambda collection: vacate_dead(collection.shard))
        if tended:
            self.database._on(NAME, lambda collection: collection.maintain(idle=False))

    @rule(data=st.data(), writes=st.integers(0, 2), checks=st.integers(1, 12) | st.just(1000))
    def vacuum(self, data: st.DataObject, writes: int, checks: int) -> None:
        """Living points are moved and the dead give back what they held, between writes, perhaps not to the end."""
        compactor = self.database._on(NAME, lambda collection: collection._compactor)
        stops = iter(range(checks))

        def stop() -> bool:
            nonlocal writes
            if writes:
                writes -= 1
                self.write_once(data, wait=True)
            return next(stops, None) is None

        with in_place():
            compactor.step(stop=stop)
        assert compactor._attempts.error is None

    @rule(way=st.sampled_from(["close_and_open", "checkpoint", "merge", "abandon", "delete_derived_files"]))
    def restart(self, way: str) -> None:
        getattr(self, way)()

    def close_and_open(self) -> None:
        self.database.close()
        self.database = Database(self.folder)

    def checkpoint(self) -> None:
        self.database._on(NAME, lambda collection: write_checkpoint(collection.shard))

    def merge(self) -> None:
        self.database._on(NAME, lambda collection: merge_segments(collection.shard))
        self.checkpoint()

    def abandon(self) -> None:
        abandoned, before = self.database, self.folder
        self.lives += 1
        shutil.copytree(before, self.folder, ignore=shutil.ignore_patterns("*-shm"))
        abandoned.close()
        shutil.rmtree(before)
        self.database = Database(self.folder)

    def delete_derived_files(self) -> None:
        self.database.close()
        derived = [file_names.derived(path) for path in file_names.collections(self.folder).iterdir()]
        for path in derived:
            assert path.is_dir()
            shutil.rmtree(path)
            path.mkdir()
        self.database = Database(self.folder)

    # -- reads

    @rule(data=st.data())
    def search(self, data: st.DataObject) -> None:
        """Trees of stages, without the vector whose scores are not exact."""
        config = self.model.config
        exact = replace(config, sparse_vectors={k: v for k, v in config.sparse_vectors.items() if k != IDF})
        points = list(self.model.points.values())
        wanted = data.draw(searches(exact, points))
        asked = {type(query) for query in _queries(wanted.stage)}
        ordered, ranked = NUMBER_KEY in self.fields, self.fields.get(TEXT_KEY) == TEXT_INDEX
        if (s.OrderBy in asked and not ordered) or (s.TextQuery in asked and not ranked):
            with pytest.raises(BadInput, match=r"No range index|BM25 requires a text index|does not score"):
                self.database.search(NAME, wanted)
            return
        assert self.hits(wanted) == Oracle(config, points).search(wanted)

    @precondition(lambda self: self.model.points)
    @rule(data=st.data(), limit=st.integers(1, 6))
    def search_by_rare_words(self, data: st.DataObject, limit: int) -> None:
        wanted = data.draw(st.one_of(st.none(), filters()))
        query = s.Nearest(data.draw(vectors(self.model.config, IDF)))
        search = s.Search(s.Prefetch(query=query, using=IDF, filter=wanted, limit=limit))
        everyone = replace(search, stage=replace(search.stage, limit=100))
        expected = Oracle(self.model.config, self.model.points.values()).search(everyone)
        assert_same(self.hits(search), expected, limit=limit)

    def hits(self, search: s.Search) -> list[Hit]:
        found = self.database.search(self.name(), search)
        return [Hit(hit.record.id, hit.score, hit.record.order_value) for hit in found]

    @rule(data=st.data())
    def count(self, data: st.DataObject) -> None:
        wanted = data.draw(filters())
        passing = Oracle(self.model.config, self.model.points.values()).passing([wanted])
        assert self.database.count(self.name(), wanted) == len(passing)
        page = self.database.scroll(self.name(), s.Scroll(filter=wanted, limit=100))
        assert [record.id for record in page.records] == [point.id for point in passing]

    @rule(size=st.integers(1, 4))
    def scroll(self, size: int) -> None:
        pages, offset = [], None
        while True:
            page = self.database.scroll(self.name(), s.Scroll(offset=offset, limit=size))
            pages.append(page.records)
            offset = page.next_offset
            if offset is None:
                break
            assert len(page.records) == size
        expected = Oracle(self.model.config, self.model.points.values()).points
        assert [record.id for page in pages for record in page] == [point.id for point in expected]

    @invariant()
    def compare(self) -> None:
        """All that should be there, nothing else."""
        if not hasattr(self, "database"):
            return
        points = Oracle(self.model.config, self.model.points.values()).points
        ids = tuple(point.id for point in points)
        records = self.database.retrieve(self.name(), (*ids, 404, *ids), s.ALL_PAYLOAD, s.ALL_VECTORS)
        assert [record.id for record in records] == list(ids)
        for record, point in zip(records, points, strict=True):
            assert repr(record.payload) == repr(point.payload) or record.payload == point.payload
            self.compare_vectors(record, point.vectors)
        hits = self.database.search(NAME, s.Search(_nearest_to_nothing()))
        versions = {hit.record.id: hit.version for hit in hits}
        assert versions == {point.id: self.model.versions[point.id] for point in points if "" in point.vectors}
        self.compare_flat_searches(points)
        info = self.database.collection_info(self.name())
        assert info.points_count == self.database.count(NAME, None) == len(points)
        assert {key: field.index for key, field in info.payload_schema.items()} == self.fields
        assert set(info.config.vectors) == set(self.model.config.vectors)

    def compare_flat_searches(self, points: list[Point]) -> None:
        """Every vector is found by who has it and by nobody else, first and when candidates are scored again."""
        config = self.model.config
        one = DenseVector(np.ones(DIMENSION, dtype=np.float32))
        words = SparseVector(np.arange(6, dtype=np.uint32), np.linspace(1, 2, 6, dtype=np.float32))
        queries: dict[str, Vector] = {
            **dict.fromkeys(config.vectors, one),
            **dict.fromkeys(config.sparse_vectors, words),
        }
        oracle = Oracle(config, points)
        for name, query in queries.items():
            leaf = s.Prefetch(query=s.Nearest(query), using=name, limit=100)
            for stage in (leaf, replace(leaf, prefetch=(s.Prefetch(limit=100),))):
                assert_same(self.hits(s.Search(stage)), oracle.search(s.Search(stage)), limit=100)

    def compare_vectors(self, record: Record, expected: "dict[str, Vector] | object") -> None:
        assert isinstance(expected, dict)
        assert record.vectors is not None
        assert set(record.vectors) == set(expected)
        for name, vector in record.vectors.items():
            wanted = expected[name]
            if isinstance(vector, SparseVector):
                assert isinstance(wanted, SparseVector)
                assert vector.indices.tolist() == wanted.indices.tolist()
                assert vector.weights.tolist() == wanted.weights.tolist()
                continue
            params = self.model.config.vectors[name]
            assert isinstance(vector, MultiVector) == params.multivector
            rows = stored(rows_of(wanted), params.distance, params.datatype or Datatype.FLOAT32)
            np.testing.assert_allclose(rows_of(vector), rows, rtol=1e-6)


def _nearest_to_nothing() -> s.Prefetch:
    return s.Prefetch(query=s.Nearest(DenseVector(np.zeros(DIMENSION, dtype=np.float32))), limit=100)


def _queries(stage: s.Prefetch) -> Sequence[s.Query | None]:
    return [stage.query, *(query for child in stage.prefetch for query in _queries(child))]


def _aliased(aliases: dict[str, str], action: AliasAction) -> dict[str, str] | None:
    """The aliases after an action; None when it must be refused."""
    match action:
        case CreateAlias(alias, collection):
            if collection not in (NAME, OTHER) or alias in (NAME, OTHER):
                return None
            return {**aliases, alias: collection}
        case RenameAlias(old, new):
            if old not in aliases or new in (NAME, OTHER):
                return None
            kept = {alias: name for alias, name in aliases.items() if alias != old}
            return {**kept, new: aliases[old]}
        case DeleteAlias(alias):
            return {other: name for other, name in aliases.items() if other != alias}


QUIET = settings(
    deadline=None, suppress_health_check=list(HealthCheck), stateful_step_count=20, max_examples=8, print_blob=True
)


def test_database_holds_what_a_dict_holds() -> None:
    with small_segments(), small_blocks(rows=1):
        run_state_machine_as_test(DatabaseMachine, settings=QUIET)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_database_holds_what_a_dict_holds_for_long() -> None:
    thorough = settings(QUIET, max_examples=1500, stateful_step_count=40)
    with small_segments(), small_blocks(rows=1):
        run_state_machine_as_test(DatabaseMachine, settings=thorough)
