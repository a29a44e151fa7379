"""Small collections and short ways to write and read them, for the tests of this folder."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from qdrantlite.collection.collection import Collection
from qdrantlite.collection.shard.checkpoint import write_checkpoint
from qdrantlite.database import Database
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.query.filter import Condition, FieldCondition, Filter, MatchInteger, MatchKeyword
from qdrantlite.values.distance import Distance
from qdrantlite.values.payload import Json
from qdrantlite.values.point_id import PointId
from qdrantlite.values.schema import CollectionConfig, FieldIndex, FieldKind, SparseVectorParams, VectorParams
from qdrantlite.values.vector import DenseVector, MultiVector, SparseVector, Vector

NAME = "points"
CONFIG = CollectionConfig(
    vectors={"": VectorParams(2, Distance.DOT), "many": VectorParams(2, Distance.DOT, multivector=True)},
    sparse_vectors={"words": SparseVectorParams()},
)
KEYWORD, INTEGER = FieldIndex(FieldKind.KEYWORD), FieldIndex(FieldKind.INTEGER)


def opened(folder: Path, config: CollectionConfig = CONFIG) -> Database:
    """A database with the one collection."""
    database = Database(folder)
    database.create_collection(NAME, config)
    return database


def collection_of(database: Database, name: str = NAME) -> Collection:
    """The object behind a name."""
    return database._on(name, lambda collection: collection)


def checkpoint(database: Database) -> None:
    """Writes the derived file now."""
    write_checkpoint(collection_of(database).shard)


def copied(database: Database, folder: Path, target: Path) -> Database:
    """What opens if the process ends here: the folder as it is while the database is open. Closes the original."""
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("*-shm"))
    database.close()
    return Database(target)


def dense(*values: float) -> DenseVector:
    """One row."""
    return DenseVector(np.array(values, dtype=np.float32))


def multi(*rows: Sequence[float]) -> MultiVector:
    """Several rows."""
    return MultiVector(np.array(rows, dtype=np.float32))


def sparse(**weights: float) -> SparseVector:
    """Weights by index: ``sparse(i3=1.0)``."""
    indices = np.array([int(name[1:]) for name in weights], dtype=np.uint32)
    return SparseVector.from_unsorted(indices, np.array(list(weights.values()), dtype=np.float32))


def point(point_id: PointId, vectors: dict[str, Vector] | None = None, **payload: Json) -> o.PointWrite:
    """A point; without vectors given, one of each kind derived from a number."""
    number = float(point_id % 1000) if isinstance(point_id, int) else 0.5
    everything: dict[str, Vector] = {
        "": dense(number, 1),
        "many": multi((number, 1), (1, number)),
        "words": sparse(i1=number + 1, i2=1),
    }
    return o.PointWrite(point_id, everything if vectors is None else vectors, payload)


def upsert(*points: o.PointWrite) -> o.Upsert:
    """Whole points."""
    return o.Upsert(points)


def write(database: Database, *operations: o.Operation) -> tuple[int, ...]:
    """One request; its operation ids."""
    return tuple(result.operation_id for result in database.write(NAME, operations, wait=True))


def ids(*given: PointId) -> o.Selector:
    """Points by id."""
    return o.Selector(ids=given)


def where(*must: Condition) -> o.Selector:
    """Points by filter."""
    return o.Selector(filter=Filter(must=must))


def color(value: str) -> FieldCondition:
    """``color`` is this."""
    return FieldCondition("color", MatchKeyword(value))


def size(value: int) -> FieldCondition:
    """``size`` is this."""
    return FieldCondition("size", MatchInteger(value))


def nearest(query: s.VectorInput, using: str = "", limit: int = 100, *must: Condition) -> s.Search:
    """A flat search."""
    return s.Search(s.Prefetch(query=s.Nearest(query), using=using, limit=limit, filter=Filter(must=must)))


def found(database: Database, search: s.Search, name: str = NAME) -> list[PointId]:
    """Ids of the hits, best first."""
    return [hit.record.id for hit in database.search(name, search)]


def passing(database: Database, *must: Condition) -> list[PointId]:
    """Ids of the points that pass, ascending."""
    page = database.scroll(NAME, s.Scroll(filter=Filter(must=must), limit=10_000))
    return [record.id for record in page.records]


def contents(database: Database) -> list[tuple[object, ...]]:
    """Everything a client can see of the points, for comparing two states."""
    page = database.scroll(NAME, s.Scroll(limit=10_000, with_vectors=s.ALL_VECTORS))
    return [
        (record.id, record.payload, {name: _numbers(vector) for name, vector in (record.vectors or {}).items()})
        for record in page.records
    ]


def answers(database: Database, conditions: Iterable[Condition]) -> list[object]:
    """Answers of every index: filters, and searches of each vector the collection has."""
    config = database.collection_info(NAME).config
    queries: dict[str, Vector] = {name: dense(1, 2) for name in config.vectors}
    queries |= {name: sparse(i1=1, i2=-1, i7=2) for name in config.sparse_vectors}
    hits = [
        [(hit.record.id, hit.score, hit.version) for hit in database.search(NAME, nearest(query, name))]
        for name, query in queries.items()
    ]
    fields = {key: field.points for key, field in database.collection_info(NAME).payload_schema.items()}
    return [hits, fields, *(passing(database, condition) for condition in conditions)]


def _numbers(vector: Vector) -> object:
    match vector:
        case DenseVector(values):
            return values.tolist()
        case MultiVector(rows):
            return rows.tolist()
        case SparseVector(indices, weights):
            return indices.tolist(), weights.tolist()
