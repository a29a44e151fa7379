"""What the engine alone cannot do: ids as queries, other collections, groups. The client's local mode answers here.

Where the two disagree the server's rules hold, and are tested without the local mode.
"""

import random
import warnings
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from qdrant_client import QdrantClient, models

M = models
UUIDS = [str(UUID(int=number << 64 | number)) for number in range(120)]
KEYS: tuple[Any, ...] = (
    "x",
    "y",
    "1",
    "2",
    1,
    2,
    3,
    -4,
    ["x", "y"],
    [1, "x"],
    ["x", "x"],
    UUIDS[5],
    UUIDS[7],
    True,
    1.5,
    None,
    [],
    [1, 2.5],
)
OTHERS: tuple[M.LookupLocation | None, ...] = (
    None,
    None,
    M.LookupLocation(collection="other", vector="w"),
    M.LookupLocation(collection="main", vector="w"),
)


class Pair:
    """The server and the local mode with the same points."""

    def __init__(self, server: QdrantClient) -> None:
        self.server = server
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.local = QdrantClient(":memory:")
        chance = random.Random(4)

        def row() -> list[float]:
            return [chance.gauss(0, 1) for _ in range(4)]

        points = []
        for number in range(110):
            vector: dict[str, Any] = {"v": row()} if number % 7 else {}
            if number % 3:
                vector["w"] = row()
            if number % 4:
                vector["s"] = M.SparseVector(indices=chance.sample(range(9), 3), values=row()[:3])
            payload: dict[str, Any] = {
                "n": number,
                "h": {"k": [{"z": chance.randint(0, 4)} for _ in range(number % 3)]},
            }
            if number % 5:
                payload["g"] = chance.choice([*KEYS, {"a": 1}, [["x"]]])
            points.append(M.PointStruct(id=number if number % 5 else UUIDS[number], vector=vector, payload=payload))
        self.ids = [
            point.id for point in points if isinstance(point.vector, dict) and {"v", "w", "s"} <= point.vector.keys()
        ]
        others = [M.PointStruct(id=each, vector={"w": row()}, payload={"who": each, "x": 1}) for each in self.ids]
        looked_up = [M.PointStruct(id=i, vector={"w": row()}, payload={"who": i}) for i in (*range(1, 5), *UUIDS[:9])]
        for side in (self.server, self.local):
            rows = M.VectorParams(size=4, distance=M.Distance.COSINE)
            far = M.VectorParams(size=4, distance=M.Distance.EUCLID)
            sparse = {"s": M.SparseVectorParams()}
            side.create_collection("main", vectors_config={"v": rows, "w": far}, sparse_vectors_config=sparse)
            side.create_collection("other", vectors_config={"w": far})
            side.upsert("main", points)
            side.upsert("other", [*looked_up, *others])

    def both(self, method: str, *args: Any, **rest: Any) -> tuple[Any, Any]:
        return getattr(self.server, method)(*args, **rest), getattr(self.local, method)(*args, **rest)

    def close(self) -> None:
        for name in ("main", "other"):
            self.server.delete_collection(name)
        self.local.close()


@pytest.fixture(scope="module")
def pair(client: QdrantClient) -> Iterator[Pair]:
    made = Pair(client)
    yield made
    made.close()


def scored(found: M.QueryResponse | M.PointGroup) -> list[tuple[Any, float]]:
    hits = found.hits if isinstance(found, M.PointGroup) else found.points
    return [(hit.id, round(hit.score, 4)) for hit in hits]


def test_ids_as_queries(pair: Pair) -> None:
    chance = random.Random(6)
    for _ in range(60):
        using = chance.choice(["v", "w", "s"])
        lookup = None if using == "s" else chance.choice(OTHERS)
        ours, local = pair.both(
            "query_points",
            "main",
            query=chance.choice(pair.ids),
            using=using,
            lookup_from=lookup,
            limit=7,
            offset=chance.choice([None, 3]),
            score_threshold=chance.choice([None, None, 0.3]),
        )
        assert scored(ours) == scored(local)


def test_groups(pair: Pair) -> None:
    chance = random.Random(8)
    lookups: list[Any] = [None, "other", M.WithLookup(collection="other", with_payload=["who"], with_vectors=True)]
    members = 0
    for _ in range(40):
        ours, local = pair.both(
            "query_points_groups",
            "main",
            query=[chance.gauss(0, 1) for _ in range(4)],
            using=chance.choice(["v", "w"]),
            limit=chance.choice([1, 3, 10, 20]),
            group_size=chance.choice([1, 2, 5, 20]),
            group_by=chance.choice(["g", "g", "h.k[].z", "n"]),
            with_lookup=chance.choice(lookups),
            score_threshold=chance.choice([None, None, 0.3]),
            query_filter=chance.choice([None, M.Filter(must=[M.FieldCondition(key="n", range=M.Range(lt=60))])]),
            with_payload=False,
        )
        for group, other in zip(ours.groups, local.groups, strict=True):
            assert (group.id, scored(group)) == (other.id, scored(other))
            assert type(group.id) is type(other.id)
            assert (group.lookup and group.lookup.id) == (other.lookup and other.lookup.id)
            if group.lookup is not None and other.lookup is not None:
                assert group.lookup.payload == other.lookup.payload
                assert (group.lookup.vector is None) == (other.lookup.vector is None)
            members += len(group.hits)
    assert members > 300


def test_id_is_left_out_of_every_source(client: QdrantClient, pair: Pair) -> None:
    """Asked for below, a point comes back through no sibling; looked up elsewhere, it does."""
    asked = pair.ids[0]
    everything = M.Prefetch(limit=200)
    for lookup, left_out in ((None, True), (OTHERS[3], True), (OTHERS[2], False)):
        below = M.Prefetch(query=asked, using="w", limit=5, lookup_from=lookup)
        fused = client.query_points(
            "main", prefetch=[below, everything], query=M.FusionQuery(fusion=M.Fusion.RRF), limit=200
        )
        assert (asked not in {hit.id for hit in fused.points}) == left_out


def test_lookup_concerns_its_own_stage(client: QdrantClient, pair: Pair) -> None:
    """A prefetch does not inherit where ids are looked up, so this id is left out."""
    asked = pair.ids[0]
    below = M.Prefetch(query=asked, using="w", limit=50)
    found = client.query_points("main", prefetch=[below], query=asked, using="w", lookup_from=OTHERS[2], limit=50)
    assert found.points
    assert asked not in {hit.id for hit in found.points}


def test_pages_by_id(pair: Pair) -> None:
    """Numbers before UUIDs; an offset need not exist."""
    few = M.Filter(must=[M.FieldCondition(key="n", range=M.Range(lt=60))])
    for given in (None, few):
        for offset in (None, 0, 17, 2**64 - 1, UUIDS[0], UUIDS[20]):
            ours, local = pair.both("scroll", "main", scroll_filter=given, limit=7, offset=offset)
            assert [record.id for record in ours[0]] == [record.id for record in local[0]]
            assert ours[1] == local[1]
        seen: list[Any] = []
        following: Any = None
        while True:
            page, following = pair.server.scroll("main", scroll_filter=given, limit=9, offset=following)
            seen += [record.id for record in page]
            if following is None:
                break
        assert len(seen) == len(set(seen)) == pair.local.count("main", given).count


def test_names_of_vectors_asked_for(pair: Pair) -> None:
    for wanted in (True, ["v"], ["s"], ["w", "v"], False):
        ours, local = pair.both("scroll", "main", limit=200, with_vectors=wanted, with_payload=False)
        names = [[sorted(record.vector or {}) for record in side[0]] for side in (ours, local)]
        assert names[0] == names[1]
        assert not any(record.payload for record in ours[0])
