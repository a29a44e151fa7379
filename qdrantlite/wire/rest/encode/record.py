"""Records, hits, groups, pages and results of writes, as orjson writes them.

Arrays stay arrays, and scores become float32: orjson writes both with as few digits as float32 needs, and what is not
finite as null.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import numpy as np

from qdrantlite.values.payload import Json
from qdrantlite.values.point_id import PointId
from qdrantlite.values.record import Group, Record, SampleMatrix, ScoredRecord, ScrollPage, UpdateResult
from qdrantlite.values.vector import DEFAULT_VECTOR, DenseVector, MultiVector, SparseVector, Vector
from qdrantlite.wire.rest.encode.answer import Answer


def encode_id(point_id: PointId) -> Json:
    """UUIDs in lower case with hyphens."""
    return str(point_id) if isinstance(point_id, UUID) else point_id


def encode_record(record: Record) -> dict[str, Answer]:
    """A point with what was asked for of it."""
    return _filled({"id": encode_id(record.id)}, record)


def encode_records(records: Sequence[Record]) -> list[Answer]:
    """In order."""
    return [encode_record(record) for record in records]


def encode_hits(hits: Sequence[ScoredRecord]) -> list[Answer]:
    """Best first."""
    return [
        _filled({"id": encode_id(hit.record.id), "version": hit.version, "score": np.float32(hit.score)}, hit.record)
        for hit in hits
    ]


def _filled(answer: dict[str, Answer], record: Record) -> dict[str, Answer]:
    if record.payload is not None:
        answer["payload"] = record.payload
    if record.vectors is not None:
        answer["vector"] = _encode_vectors(record.vectors)
    if record.order_value is not None:
        answer["order_value"] = record.order_value
    return answer


def _encode_vectors(vectors: Mapping[str, Vector]) -> Answer:
    """The default vector alone goes out unnamed; a point without vectors has an empty object."""
    if len(vectors) == 1 and DEFAULT_VECTOR in vectors:
        return _encode_vector(vectors[DEFAULT_VECTOR])
    return {name: _encode_vector(vector) for name, vector in vectors.items()}


def _encode_vector(vector: Vector) -> Answer:
    match vector:
        case DenseVector(values):
            return np.ascontiguousarray(values)
        case SparseVector(indices, weights):
            return {"indices": np.ascontiguousarray(indices), "values": np.ascontiguousarray(weights)}
        case MultiVector(rows):
            return np.ascontiguousarray(rows)


def encode_page(page: ScrollPage) -> Answer:
    """Records, and the id that opens the next page, or null."""
    following = None if page.next_offset is None else encode_id(page.next_offset)
    return {"points": encode_records(page.records), "next_page_offset": following}


def encode_groups(groups: Sequence[Group]) -> Answer:
    """Groups in order, each with its hits and the record looked up for it."""
    return {"groups": [_encode_group(group) for group in groups]}


def _encode_group(group: Group) -> Answer:
    answer: dict[str, Answer] = {"hits": encode_hits(group.hits), "id": group.key}
    if group.lookup is not None:
        answer["lookup"] = encode_record(group.lookup)
    return answer


def encode_update(result: UpdateResult) -> Answer:
    """The answer to one write."""
    return {"operation_id": result.operation_id, "status": result.status.name.lower()}


def encode_pairs(matrix: SampleMatrix) -> Answer:
    """Row by row, best first."""
    ids = [encode_id(point_id) for point_id in matrix.ids]
    entries = zip(matrix.rows.tolist(), matrix.columns.tolist(), matrix.scores, strict=True)
    return {"pairs": [{"a": ids[row], "b": ids[column], "score": score} for row, column, score in entries]}


def encode_offsets(matrix: SampleMatrix) -> Answer:
    """Row by row, best first."""
    ids = [encode_id(point_id) for point_id in matrix.ids]
    return {"offsets_row": matrix.rows, "offsets_col": matrix.columns, "scores": matrix.scores, "ids": ids}
