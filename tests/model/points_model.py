"""What a collection must hold after its writes: a dict of points, changed by operations as the specification says."""

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace

from qdrantlite.query import operation as o
from qdrantlite.query.filter import Filter
from qdrantlite.values.payload import EVERY, Json, Path, Payload
from qdrantlite.values.point_id import PointId
from qdrantlite.values.schema import CollectionConfig
from qdrantlite.values.vector import DenseVector, MultiVector, SparseVector, Vector
from tests.oracle_filter import Point, holds


class Refused(Exception):
    """The whole request must be refused and change nothing."""


@dataclass(slots=True)
class PointsModel:
    """Points by id, the version of each, and the newest operation id."""

    config: CollectionConfig
    points: dict[PointId, Point] = field(default_factory=dict)
    versions: dict[PointId, int] = field(default_factory=dict)
    operation_id: int = 0
    missing_pass: bool = False
    """Whether ids that do not exist are passed over."""

    def after(self, operations: Iterable[o.Operation], *, wait: bool = True) -> "PointsModel":
        """The collection after one request, which without ``wait`` does what it can. Raises Refused."""
        model = self._copy(missing_pass=not wait)
        for operation in operations:
            if wait:
                model._apply(operation)
            else:
                self._require_dimensions(operation)
                model = model._after_what_fits(operation)
        return model._copy(missing_pass=False)

    def _copy(self, *, missing_pass: bool) -> "PointsModel":
        return PointsModel(self.config, dict(self.points), dict(self.versions), self.operation_id, missing_pass)

    def _after_what_fits(self, operation: o.Operation) -> "PointsModel":
        """The collection after an operation, or without it; its id is used up either way."""
        changed = self._copy(missing_pass=True)
        try:
            changed._apply(operation)
        except Refused:
            changed = self._copy(missing_pass=True)
            changed.operation_id += 1
        return changed

    def _require_dimensions(self, operation: o.Operation) -> None:
        if isinstance(operation, o.Upsert | o.UpdateVectors):
            for write in operation.points:
                self._require_fit({name: each for name, each in write.vectors.items() if name in self.config.vectors})

    def without_vector(self, name: str) -> None:
        """Takes a dropped vector name from every point."""
        for point in self.points.values():
            kept = {other: vector for other, vector in point.vectors.items() if other != name}
            self.points[point.id] = replace(point, vectors=kept)

    def _apply(self, operation: o.Operation) -> None:
        self.operation_id += 1
        match operation:
            case o.Upsert():
                self._upsert(operation)
            case o.DeletePoints(selection):
                ids = self._passing(selection.filter) if selection.ids is None else list(selection.ids)
                for point_id in ids:
                    self.points.pop(point_id, None)
                    self.versions.pop(point_id, None)
            case o.UpdateVectors(writes, update_filter):
                self._update_vectors(writes, update_filter)
            case o.DeleteVectors(selection, names):
                self._require_names(names)
                ids = self._known(selection.ids or ())
                ids += self._passing(selection.filter) if selection.filter is not None else []
                self._change(ids, lambda point: replace(point, vectors=_without(point.vectors, names)))
            case o.SetPayload(payload, selection, key):
                self._change(self._selected(selection), lambda p: _with_payload(p, lambda old: _set(old, key, payload)))
            case o.OverwritePayload(payload, selection):
                self._change(self._selected(selection), lambda p: _with_payload(p, lambda _: dict(payload)))
            case o.DeletePayload(keys, selection):
                self._change(self._selected(selection), lambda p: _with_payload(p, lambda old: _deleted(old, keys)))
            case o.ClearPayload(selection):
                self._change(self._selected(selection), lambda p: _with_payload(p, lambda _: {}))

    def _upsert(self, operation: o.Upsert) -> None:
        passing = None if operation.update_filter is None else set(self._passing(operation.update_filter))
        for write in operation.points:
            self._require_fit(write.vectors)
        before = set(self.points)
        for write in {write.id: write for write in operation.points}.values():
            if write.id in before:
                if operation.mode is o.UpdateMode.INSERT_ONLY or (passing is not None and write.id not in passing):
                    continue
            elif operation.mode is o.UpdateMode.UPDATE_ONLY:
                continue
            vectors = {name: _plain(vector) for name, vector in write.vectors.items()}
            self.points[write.id] = Point(write.id, vectors, deepcopy(dict(write.payload)))
            self.versions[write.id] = self.operation_id

    def _update_vectors(self, writes: tuple[o.VectorsWrite, ...], update_filter: Filter | None) -> None:
        ids = self._known(tuple(write.id for write in writes))
        for write in writes:
            self._require_fit(write.vectors)
        passing = set(ids) if update_filter is None else set(self._passing(update_filter))
        for write in writes:
            if write.id in passing:
                point = self.points[write.id]
                brought = {name: _plain(vector) for name, vector in write.vectors.items()}
                self.points[write.id] = replace(point, vectors={**point.vectors, **brought})
                self.versions[write.id] = self.operation_id

    def _change(self, ids: Iterable[PointId], change: Callable[[Point], Point]) -> None:
        for point_id in set(ids):
            self.points[point_id] = change(self.points[point_id])
            self.versions[point_id] = self.operation_id

    def _selected(self, selection: o.Selector) -> list[PointId]:
        if selection.ids is not None:
            return self._known(selection.ids)
        return self._passing(selection.filter)

    def _passing(self, filter: Filter | None) -> list[PointId]:
        assert filter is not None
        return [point.id for point in self.points.values() if holds(filter, point)]

    def _known(self, ids: tuple[PointId, ...]) -> list[PointId]:
        known = [point_id for point_id in ids if point_id in self.points]
        if len(known) < len(ids) and not self.missing_pass:
            raise Refused
        return known

    def _require_names(self, names: Iterable[str]) -> None:
        if any(name not in self.config.vectors and name not in self.config.sparse_vectors for name in names):
            raise Refused

    def _require_fit(self, vectors: Mapping[str, object]) -> None:
        self._require_names(vectors)
        for name, vector in vectors.items():
            size = self.config.vectors[name].size if name in self.config.vectors else None
            match vector:
                case DenseVector(values) if len(values) != size:
                    raise Refused
                case MultiVector(rows) if rows.shape[1] != size:
                    raise Refused


def _plain(vector: object) -> Vector:
    assert isinstance(vector, DenseVector | MultiVector | SparseVector)
    return vector


def _without(vectors: Mapping[str, Vector], names: tuple[str, ...]) -> dict[str, Vector]:
    return {name: vector for name, vector in vectors.items() if name not in names}


def _with_payload(point: Point, change: Callable[[Payload], Payload]) -> Point:
    return replace(point, payload=change(deepcopy(point.payload)))


def _set(payload: Payload, key: Path | None, change: Mapping[str, Json]) -> Payload:
    """Changes the copy in place, target by target."""
    holder: dict[str, Json] = {"root": payload}
    targets: list[tuple[dict[str, Json] | list[Json], str | int]] = [(holder, "root")]
    for step in key or ():
        targets = [found for parent, place in targets for found in _stepped(parent, place, step)]
    for parent, place in targets:
        target = _get(parent, place)
        if not isinstance(target, dict):
            target = {}
            _put(parent, place, target)
        for name, value in change.items():
            if value is None:
                target.pop(name, None)
            else:
                target[name] = deepcopy(value)
    root = holder["root"]
    assert isinstance(root, dict)
    return root


def _stepped(
    parent: dict[str, Json] | list[Json], place: str | int, step: object
) -> list[tuple[dict[str, Json] | list[Json], str | int]]:
    value = _get(parent, place)
    if isinstance(step, str):
        if not isinstance(value, dict):
            value = {}
            _put(parent, place, value)
        value.setdefault(step, None)
        return [(value, step)]
    if not isinstance(value, list):
        value = []
        _put(parent, place, value)
    return [(value, at) for at in range(len(value)) if step is EVERY or step == at]


def _get(parent: dict[str, Json] | list[Json], place: str | int) -> Json:
    return parent[place]  # type: ignore[index]  # a name goes with a dict and a number with a list


def _put(parent: dict[str, Json] | list[Json], place: str | int, value: Json) -> None:
    parent[place] = value  # type: ignore[index]  # as above


def _deleted(payload: Payload, keys: tuple[Path, ...]) -> Payload:
    """A path that ends in ``[n]`` takes nothing away, as in Qdrant."""
    for path in keys:
        parents: list[Json] = [payload]
        for step in path[:-1]:
            parents = [found for parent in parents for found in _children(parent, step)]
        for parent in parents:
            last = path[-1]
            if isinstance(parent, dict) and isinstance(last, str):
                parent.pop(last, None)
            elif isinstance(parent, list) and last is EVERY:
                parent.clear()
    return payload


def _children(parent: Json, step: object) -> list[Json]:
    if isinstance(parent, dict) and isinstance(step, str):
        return [parent[step]] if step in parent else []
    if isinstance(parent, list) and not isinstance(step, str):
        return [value for at, value in enumerate(parent) if step is EVERY or step == at]
    return []
