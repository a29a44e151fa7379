"""The final page: offsets become ids, payloads and vectors. Only here do points become Python objects."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from qdrantlite.collection.read.bind import check_vectors, order_start
from qdrantlite.collection.read.view import ReadView
from qdrantlite.collection.shard.payload_text import payload_of
from qdrantlite.deadline import Ask, Deadline
from qdrantlite.errors import MalformedRequest
from qdrantlite.execute.executor import execute
from qdrantlite.execute.groups import RankedGroup
from qdrantlite.execute.project import project_payload
from qdrantlite.execute.ranking import Ranking
from qdrantlite.plan.bound import BoundOrderBy, BoundSearch, BoundStage
from qdrantlite.plan.planner import plan
from qdrantlite.query.search import GroupSearch, PayloadSelector, Scroll, Search, VectorsSelector
from qdrantlite.segment.selection import Selection
from qdrantlite.storage.store_reader import Records
from qdrantlite.values.payload import Json, Payload, elements_of, parse_path
from qdrantlite.values.point_id import PointId, parse_uuid
from qdrantlite.values.record import Group, Record, ScoredRecord, ScrollPage
from qdrantlite.values.vector import U32, Vector

PIECE = 2048
"""Points of a page that are read and unpacked between two looks at the deadline."""

TOGETHER_MAX = 8192
"""Points of several pages that are read in one go."""


def scored_pages(
    view: ReadView, rankings: Sequence[Ranking], searches: Sequence[Search], ask: Ask
) -> list[list[ScoredRecord]]:
    """Hits of each ranking, in its order, as its search wants them; small pages are read from the store in one go.

    ``ask`` is called between pieces of large ones.
    """
    if not any(map(len, rankings)):
        return [[] for _ in rankings]
    if len(rankings) == 1 or sum(map(len, rankings)) > TOGETHER_MAX:
        return [_page(view, *asked, ask) for asked in zip(rankings, searches, strict=True)]
    offsets = np.concatenate([ranking.offsets for ranking in rankings])
    stored = view.records(offsets, with_payload=any(search.with_payload.wanted for search in searches))
    found: list[list[ScoredRecord]] = []
    start = 0
    for ranking, search in zip(rankings, searches, strict=True):
        own = stored.part(start, start + len(ranking))
        found.append(_hits(view, ranking, own, search))
        start += len(ranking)
    return found


def _page(view: ReadView, ranking: Ranking, search: Search, ask: Ask) -> list[ScoredRecord]:
    found: list[ScoredRecord] = []
    for at in range(0, len(ranking), PIECE):
        ask()
        piece = ranking if len(ranking) <= PIECE else ranking.take(slice(at, at + PIECE))
        stored = view.records(piece.offsets, with_payload=search.with_payload.wanted)
        found.extend(_hits(view, piece, stored, search))
    return found


def _hits(view: ReadView, ranking: Ranking, stored: Records, search: Search) -> list[ScoredRecord]:
    payloads = _payloads(stored.payloads, search.with_payload)
    vectors = _vectors(view, ranking.offsets, search.with_vectors)
    orders = [None] * len(ranking) if ranking.order is None else map(ranking.order.at, range(len(ranking)))
    shown = zip(stored.versions, ranking.versioned.tolist(), strict=True)
    versions = [version if known else 0 for version, known in shown]
    records = map(_new_record, zip(stored.ids, payloads, vectors, orders, strict=True))
    return list(map(_new_hit, zip(records, ranking.scores.tolist(), versions, strict=True)))


_new_record, _new_hit = partial(tuple.__new__, Record), partial(tuple.__new__, ScoredRecord)
"""From a tuple of their fields; what ``_make`` does, but no Python runs for each of many hits."""


def record_page(
    view: ReadView, offsets: U32, with_payload: PayloadSelector, with_vectors: VectorsSelector, ask: Ask
) -> list[Record]:
    """Records of offsets, in their order; ``ask`` is called between pieces of a large page."""
    found: list[Record] = []
    for at in range(0, len(offsets), PIECE):
        ask()
        piece = offsets[at : at + PIECE]
        stored = view.records(piece, with_payload=with_payload.wanted)
        payloads, vectors = _payloads(stored.payloads, with_payload), _vectors(view, piece, with_vectors)
        found.extend([Record(*parts) for parts in zip(stored.ids, payloads, vectors, strict=True)])
    return found


def scroll_page(view: ReadView, selection: Selection | None, request: Scroll, deadline: Deadline) -> ScrollPage:
    """One page by id or by value of the points of a selection. Raises BadInput, TimedOut, Cancelled."""
    check_vectors(view.state.config, request.with_vectors)
    order = request.order_by
    if order is not None:
        query = BoundOrderBy(order.key, order.direction, order_start(order.start_from))
        stage = BoundStage(query=query, selection=selection, limit=request.limit)
        ranking = execute(plan(BoundSearch(stage, repeats=True), view), view, deadline=deadline)
        return ScrollPage(_ordered_records(view, ranking, request, deadline.pause), None)
    limit = min(request.limit, view.live_points)
    offsets = view.id_page(selection, request.offset, limit + 1, deadline.pause)
    following = view.ids(offsets[limit:]).to_list()
    selectors = request.with_payload, request.with_vectors
    page = record_page(view, offsets[:limit], *selectors, deadline.pause)
    return ScrollPage(tuple(page), following[0] if following else None)


def _ordered_records(view: ReadView, ranking: Ranking, request: Scroll, ask: Ask) -> tuple[Record, ...]:
    """Records of a page by value, each with its value."""
    records = record_page(view, ranking.offsets, request.with_payload, request.with_vectors, ask)
    assert ranking.order is not None or not records
    return tuple(
        record._replace(order_value=ranking.order.at(position)) if ranking.order is not None else record
        for position, record in enumerate(records)
    )


def _payloads(texts: Sequence[bytes | None], selector: PayloadSelector) -> Sequence[Payload | None]:
    if not selector.wanted:
        return [None] * len(texts)
    payloads = [payload_of(text) for text in texts]
    return payloads if selector.everything else [project_payload(payload, selector) for payload in payloads]


def _vectors(view: ReadView, offsets: U32, selector: VectorsSelector) -> Sequence[dict[str, Vector] | None]:
    if not selector.wanted:
        return [None] * len(offsets)
    return view.vectors(offsets, selector)


def group_elements(view: ReadView, offsets: U32, group_by: str, ask: Ask) -> list[list[Json]]:
    """Elements of each point's group field, as far as a payload selector for the field brings them along.

    It brings no single element of an array: a path like ``tags[0]`` leads nowhere.
    """
    path = parse_path(group_by)
    whole = len(path) == 1  # Such a selector brings the whole value.
    selector = PayloadSelector(include=(group_by.removesuffix("[]"),))
    found: list[list[Json]] = []
    for at in range(0, len(offsets), PIECE):
        ask()
        payloads = view.payloads(offsets[at : at + PIECE])
        brought = payloads if whole else [project_payload(payload, selector) for payload in payloads]
        found.extend(elements_of(brought, path))
    return found


def group_page(view: ReadView, groups: Sequence[RankedGroup], request: GroupSearch, ask: Ask) -> list[Group]:
    """Groups with their hits as records."""
    search = request.search
    found = scored_pages(view, [group.hits for group in groups], [search] * len(groups), ask)
    return [Group(group.key, tuple(hits)) for group, hits in zip(groups, found, strict=True)]


def lookup_ids(groups: Sequence[Group]) -> dict[int | str, PointId]:
    """The point id that each group's key stands for, where it stands for one."""
    ids = {group.key: _lookup_id(group.key) for group in groups}
    return {key: point_id for key, point_id in ids.items() if point_id is not None}


def looked_up(groups: Sequence[Group], ids: Mapping[int | str, PointId], records: Sequence[Record]) -> list[Group]:
    """The groups, each with the record of its id where there is one."""
    found = {record.id: record for record in records}
    lookups = {key: found.get(point_id) for key, point_id in ids.items()}
    return [replace(group, lookup=lookups.get(group.key)) for group in groups]


def _lookup_id(key: int | str) -> PointId | None:
    """The point id a group's key stands for; None when it is none."""
    if isinstance(key, int):
        return key if key >= 0 else None
    try:
        return parse_uuid(key)
    except MalformedRequest:
        return None
