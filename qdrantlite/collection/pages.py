"""The final page: offsets become ids, payloads and vectors. Only here do points become Python objects."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from qdrantlite.collection.columns import payload_of
from qdrantlite.collection.snapshot import Snapshot
from qdrantlite.execute.groups import RankedGroup
from qdrantlite.execute.project import project_payload
from qdrantlite.execute.ranking import Ranking
from qdrantlite.query.filter import Filter, IsEmpty, merge_filters
from qdrantlite.query.search import GroupSearch, PayloadSelector, Scroll, Search, VectorsSelector
from qdrantlite.values.payload import Json, Payload, elements_at, parse_path
from qdrantlite.values.point_id import PointId
from qdrantlite.values.record import Group, Record, ScoredRecord
from qdrantlite.values.vector import U32, Vector


def scored_page(
    snapshot: Snapshot, ranking: Ranking, with_payload: PayloadSelector, with_vectors: VectorsSelector
) -> list[ScoredRecord]:
    """Hits of a ranking, in its order."""
    if len(ranking) == 0:
        return []
    stored = snapshot.records(ranking.offsets, with_payload=with_payload.wanted)
    payloads = _payloads(stored.payloads, with_payload)
    vectors = _vectors(snapshot, ranking.offsets, with_vectors)
    orders = [None if ranking.order is None else ranking.order.at(i) for i in range(len(ranking))]
    versions = (stored.versions * ranking.versioned).tolist()
    return [
        ScoredRecord(Record(*parts), score, version)
        for *parts, score, version in zip(
            stored.ids, payloads, vectors, orders, ranking.scores.tolist(), versions, strict=True
        )
    ]


def record_page(
    snapshot: Snapshot, offsets: U32, with_payload: PayloadSelector, with_vectors: VectorsSelector
) -> list[Record]:
    """Records of offsets, in their order."""
    if len(offsets) == 0:
        return []
    stored = snapshot.records(offsets, with_payload=with_payload.wanted)
    payloads = _payloads(stored.payloads, with_payload)
    vectors = _vectors(snapshot, offsets, with_vectors)
    return [Record(*parts) for parts in zip(stored.ids, payloads, vectors, strict=True)]


def ordered_records(snapshot: Snapshot, ranking: Ranking, request: Scroll) -> tuple[Record, ...]:
    """Records of a page by value, each with its value."""
    records = record_page(snapshot, ranking.offsets, request.with_payload, request.with_vectors)
    assert ranking.order is not None or not records
    return tuple(
        replace(record, order_value=ranking.order.at(position)) if ranking.order is not None else record
        for position, record in enumerate(records)
    )


def _payloads(texts: Sequence[bytes | None], selector: PayloadSelector) -> Sequence[Payload | None]:
    if not selector.wanted:
        return [None] * len(texts)
    payloads = [payload_of(text) for text in texts]
    return payloads if selector.everything else [project_payload(payload, selector) for payload in payloads]


def _vectors(snapshot: Snapshot, offsets: U32, selector: VectorsSelector) -> Sequence[dict[str, Vector] | None]:
    if not selector.wanted:
        return [None] * len(offsets)
    return snapshot.vectors(offsets, selector)


def grouped_search(request: GroupSearch) -> Search:
    """The search whose hits are grouped: points without the field are left out."""
    stage = request.search.stage
    present = Filter(must_not=(IsEmpty(request.group_by),))
    return replace(request.search, stage=replace(stage, filter=merge_filters(stage.filter, present)))


def group_elements(snapshot: Snapshot, offsets: U32, group_by: str) -> list[list[Json]]:
    """Elements of each point's group field."""
    path = parse_path(group_by)
    return [elements_at(payload, path) for payload in snapshot.payloads(offsets)]


def group_page(snapshot: Snapshot, groups: Sequence[RankedGroup], request: GroupSearch) -> list[Group]:
    """Groups with their hits as records."""
    search = request.search
    return [
        Group(group.key, tuple(scored_page(snapshot, group.hits, search.with_payload, search.with_vectors)))
        for group in groups
    ]


def lookup_id(key: int | str) -> PointId | None:
    """The point id a group's key stands for; None when it is none."""
    if isinstance(key, int):
        return key if key >= 0 else None
    try:
        return UUID(key)
    except ValueError:
        return None
