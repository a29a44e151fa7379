"""One collection twice: behind a server, spoken to by the official client over gRPC, and in the reference engine.

The engine has no collection layer: it resolves no ids to vectors, keeps no aliases and no settings. What it does answer
is what Qdrant answers.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import qdrant_edge as edge
from qdrant_client import QdrantClient, models

from tests.congruence import in_edge_words as words
from tests.oracle import Hit

Dense = models.VectorParams | Mapping[str, models.VectorParams]
Ids = Sequence[int | str]
KINDS = {each: getattr(edge.PayloadSchemaType, each.value.capitalize()) for each in models.PayloadSchemaType}


class Twin:
    """Writes go to both sides, reads answer from one. ``ours`` is the client, ``theirs`` the engine's shard."""

    def __init__(
        self,
        client: QdrantClient,
        folder: Path,
        *,
        name: str,
        dense: Dense,
        sparse: Mapping[str, models.SparseVectorParams] | None = None,
    ) -> None:
        self.ours, self.name = client, name
        client.create_collection(name, vectors_config=dense, sparse_vectors_config=sparse)
        params = (
            words.vector_params(dense)
            if isinstance(dense, models.VectorParams)
            else {key: words.vector_params(each) for key, each in dense.items()}
        )
        thin = {key: words.sparse_params(each) for key, each in (sparse or {}).items()}
        self.theirs = edge.EdgeShard.create(str(folder / name), edge.EdgeConfig(vectors=params, sparse_vectors=thin))

    def close(self) -> None:
        """Drops both sides."""
        self.ours.delete_collection(self.name)
        self.theirs.close()

    def upsert(self, points: Sequence[models.PointStruct], **conditions: Any) -> None:
        """Whole points."""
        self.ours.upsert(self.name, list(points), wait=True, **conditions)
        modes = {each: getattr(edge.UpdateMode, each.name.title().replace("_", "")) for each in models.UpdateMode}
        made = [edge.Point(each.id, words.vector(each.vector), each.payload) for each in points]
        condition, mode = words.group(conditions.get("update_filter")), conditions.get("update_mode")
        self.theirs.update(edge.UpdateOperation.upsert_points(made, condition, modes[mode] if mode else None))

    def delete(self, ids: Ids) -> None:
        """Whole points."""
        self.ours.delete(self.name, list(ids))
        self.theirs.update(edge.UpdateOperation.delete_points(list(ids)))

    def set_payload(self, ids: Ids, payload: dict[str, Any], key: str | None = None) -> None:
        """Merges."""
        self.ours.set_payload(self.name, payload, points=list(ids), key=key)
        self.theirs.update(edge.UpdateOperation.set_payload(list(ids), payload, key))

    def overwrite_payload(self, ids: Ids, payload: dict[str, Any]) -> None:
        """Replaces."""
        self.ours.overwrite_payload(self.name, payload, points=list(ids))
        self.theirs.update(edge.UpdateOperation.overwrite_payload(list(ids), payload))

    def delete_payload(self, ids: Ids, keys: Sequence[str]) -> None:
        """Removes what lies at paths."""
        self.ours.delete_payload(self.name, list(keys), points=list(ids))
        self.theirs.update(edge.UpdateOperation.delete_payload(list(ids), list(keys)))

    def set_payload_where(self, given: models.Filter, payload: dict[str, Any], key: str | None) -> None:
        """Merges into the points that pass."""
        self.ours.set_payload(self.name, payload, points=given, key=key)
        self.theirs.update(edge.UpdateOperation.set_payload_by_filter(words.group(given), payload, key))

    def delete_vectors_where(self, given: models.Filter, names: Sequence[str]) -> None:
        """Takes vectors of the points that pass away."""
        self.ours.delete_vectors(self.name, list(names), points=given)
        self.theirs.update(edge.UpdateOperation.delete_vectors_by_filter(words.group(given), list(names)))

    def update_vectors(self, points: Sequence[models.PointVectors]) -> None:
        """Lays vectors over those there are."""
        self.ours.update_vectors(self.name, list(points))
        made = [edge.PointVectors(each.id, words.vector(each.vector)) for each in points]
        self.theirs.update(edge.UpdateOperation.update_vectors(made))

    def delete_vectors(self, ids: Ids, names: Sequence[str]) -> None:
        """Takes vectors away."""
        self.ours.delete_vectors(self.name, list(names), points=list(ids))
        self.theirs.update(edge.UpdateOperation.delete_vectors(list(ids), list(names)))

    def index(self, field: str, kind: models.PayloadSchemaType | models.TextIndexParams) -> None:
        """A payload index."""
        self.ours.create_payload_index(self.name, field, kind)
        theirs = words.text_index(kind) if isinstance(kind, models.TextIndexParams) else KINDS[kind]
        self.theirs.update(edge.UpdateOperation.create_field_index(field, theirs))

    def indexed_points(self) -> dict[str, int]:
        """How many points have a value in each index, on their side."""
        return {key: info.points for key, info in self.theirs.info().payload_schema.items()}

    def passing(self, given: models.Filter) -> tuple[list[Any], list[Any]]:
        """Ids that pass a filter, on our side and on theirs."""
        ours, _ = self.ours.scroll(self.name, given, limit=10_000, with_payload=False)
        theirs, _ = self.theirs.scroll(edge.ScrollRequest(limit=10_000, filter=words.group(given)))
        return [words.point_id(each.id) for each in ours], [words.point_id(each.id) for each in theirs]

    def contents(self, **selectors: Any) -> tuple[list[Any], list[Any]]:
        """Ids, payloads and vectors of all points, on our side and on theirs."""
        ours, _ = self.ours.scroll(
            self.name,
            limit=10_000,
            with_payload=selectors.get("with_payload", True),
            with_vectors=selectors.get("with_vectors", True),
        )
        chosen = selectors.get("with_payload", True)
        if isinstance(chosen, models.PayloadSelectorInclude):
            chosen = edge.PayloadSelector.Include(chosen.include)
        elif isinstance(chosen, models.PayloadSelectorExclude):
            chosen = edge.PayloadSelector.Exclude(chosen.exclude)
        wanted = selectors.get("with_vectors", True)
        theirs, _ = self.theirs.scroll(edge.ScrollRequest(limit=10_000, with_payload=chosen, with_vector=wanted))
        return [_record(each) for each in ours], [_record(each) for each in theirs]

    def ordered(self, order: models.OrderBy, limit: int) -> tuple[list[Any], list[Any]]:
        """Ids and values of a scroll by value, on our side and on theirs."""
        stage = models.Prefetch(query=models.OrderByQuery(order_by=order))
        asked = edge.ScrollRequest(limit=limit, order_by=words.search(stage).query)
        found = (
            self.ours.scroll(self.name, limit=limit, order_by=order, with_payload=False)[0],
            self.theirs.scroll(asked)[0],
        )
        ours, theirs = ([(words.point_id(each.id), each.order_value) for each in side] for side in found)
        return ours, theirs

    def hits(self, stage: models.Prefetch, *, offset: int = 0, beyond: int = 200) -> tuple[list[Hit], list[Hit]]:
        """Answers to one search; theirs goes on for ``beyond`` hits."""
        found = self.ours.query_points(
            self.name,
            query=stage.query,
            prefetch=stage.prefetch,
            using=stage.using,
            query_filter=stage.filter,
            search_params=stage.params,
            score_threshold=stage.score_threshold,
            limit=stage.limit or words.LIMIT,
            offset=offset,
            with_payload=False,
        ).points
        engine = self.theirs.query(words.search(stage, offset=offset, beyond=beyond))
        return [_hit(each) for each in found], [_hit(each) for each in engine]


def _hit(found: Any) -> Hit:
    return Hit(words.point_id(found.id), found.score, found.order_value)


def _record(found: Any) -> tuple[Any, Any, Any]:
    return words.point_id(found.id), found.payload, words.plain_vector(found.vector)
