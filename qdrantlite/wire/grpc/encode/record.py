"""Records, hits, groups and pages to messages.

Encoding fills messages in place (``add()`` and map entries) instead of building parts and copying them in.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

from qdrantlite.values.record import (
    FacetHit,
    Group,
    Record,
    SampleMatrix,
    ScoredRecord,
    ScrollPage,
    UpdateResult,
    UpdateStatus,
)
from qdrantlite.values.vector import DEFAULT_VECTOR, DenseVector, MultiVector, SparseVector, Vector
from qdrantlite.wire.grpc.id_codec import encode_id
from qdrantlite.wire.grpc.json_codec import INTEGER_MAX, INTEGER_MIN, encode_fields
from qdrantlite.wire.pb import points as pb

_STATUSES = {
    UpdateStatus.ACKNOWLEDGED: pb.UpdateStatus.Acknowledged,
    UpdateStatus.COMPLETED: pb.UpdateStatus.Completed,
    UpdateStatus.WAIT_TIMEOUT: pb.UpdateStatus.WaitTimeout,
}


def encode_hits(hits: Sequence[ScoredRecord], into: RepeatedCompositeFieldContainer[pb.ScoredPoint]) -> None:
    """Appends hits, best first."""
    for hit in hits:
        message = into.add(score=hit.score, version=hit.version)
        _fill(hit.record, message)


def encode_batches(
    batches: Sequence[Sequence[ScoredRecord]], into: RepeatedCompositeFieldContainer[pb.BatchResult]
) -> None:
    """Appends one message per search, in order."""
    for hits in batches:
        encode_hits(hits, into.add().result)


def encode_record(record: Record, message: pb.RetrievedPoint) -> None:
    """Fills a message with a record."""
    _fill(record, message)


def _fill(record: Record, message: pb.ScoredPoint | pb.RetrievedPoint) -> None:
    point_id = record.id
    if isinstance(point_id, UUID):
        message.id.uuid = str(point_id)
    else:
        message.id.num = point_id
    if record.payload:
        encode_fields(record.payload, message.payload)
    if record.vectors is not None:
        encode_vectors(record.vectors, message.vectors)
    if record.order_value is not None:
        _encode_order_value(record.order_value, message.order_value)


def _encode_order_value(value: int | float, message: pb.OrderValue) -> None:
    if isinstance(value, float):
        message.float = value
    else:
        message.int = value


def encode_vectors(vectors: Mapping[str, Vector], message: pb.VectorsOutput) -> None:
    """The default vector alone goes out unnamed; a point without vectors has an empty map."""
    if len(vectors) == 1 and DEFAULT_VECTOR in vectors:
        encode_vector(vectors[DEFAULT_VECTOR], message.vector)
        return
    message.vectors.SetInParent()
    for name, vector in vectors.items():
        encode_vector(vector, message.vectors.vectors[name])


def encode_vector(vector: Vector, message: pb.VectorOutput) -> None:
    """Fills the oneof; the flat fields of old servers stay empty."""
    match vector:
        case DenseVector(values):
            message.dense.data.extend(values.tolist())
        case SparseVector(indices, weights):
            message.sparse.SetInParent()
            message.sparse.values.extend(weights.tolist())
            message.sparse.indices.extend(indices.tolist())
        case MultiVector(rows):
            message.multi_dense.SetInParent()
            for row in rows.tolist():
                message.multi_dense.vectors.add(data=row)


def encode_page(page: ScrollPage) -> pb.ScrollResponse:
    """Records and, unless this is the last page, the id that opens the next."""
    message = pb.ScrollResponse()
    if page.next_offset is not None:
        message.next_page_offset.CopyFrom(encode_id(page.next_offset))
    for record in page.records:
        encode_record(record, message.result.add())
    return message


def encode_groups(groups: Sequence[Group], message: pb.GroupsResult) -> None:
    """Groups in order, each with its hits and the record looked up for it."""
    message.SetInParent()
    for group in groups:
        part = message.groups.add()
        _encode_group_key(group.key, part.id)
        encode_hits(group.hits, part.hits)
        if group.lookup is not None:
            encode_record(group.lookup, part.lookup)


def _encode_group_key(key: int | str, message: pb.GroupId) -> None:
    if isinstance(key, str):
        message.string_value = key
    elif key >= 0:
        message.unsigned_value = key
    else:
        assert INTEGER_MIN <= key <= INTEGER_MAX
        message.integer_value = key


def encode_update(result: UpdateResult) -> pb.UpdateResult:
    """The answer to one write."""
    return pb.UpdateResult(operation_id=result.operation_id, status=_STATUSES[result.status])


def encode_facet(hits: Sequence[FacetHit], into: RepeatedCompositeFieldContainer[pb.FacetHit]) -> None:
    """Values in order, each with its number of points."""
    for hit in hits:
        message = into.add(count=hit.count)
        match hit.value:
            case bool(flag):
                message.value.bool_value = flag
            case int(number):
                message.value.integer_value = number
            case str(word):
                message.value.string_value = word


def encode_pairs(matrix: SampleMatrix) -> pb.SearchMatrixPairs:
    """Row by row, best first."""
    ids = [encode_id(point_id) for point_id in matrix.ids]
    entries = zip(matrix.rows.tolist(), matrix.columns.tolist(), matrix.scores.tolist(), strict=True)
    return pb.SearchMatrixPairs(
        pairs=[pb.SearchMatrixPair(a=ids[row], b=ids[column], score=score) for row, column, score in entries]
    )


def encode_offsets(matrix: SampleMatrix) -> pb.SearchMatrixOffsets:
    """Row by row, best first."""
    return pb.SearchMatrixOffsets(
        offsets_row=matrix.rows.tolist(),
        offsets_col=matrix.columns.tolist(),
        scores=matrix.scores.tolist(),
        ids=[encode_id(point_id) for point_id in matrix.ids],
    )
