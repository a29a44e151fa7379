"""The points that every client writes, made from a fixed seed, in the form in which Qdrant's REST API takes them.

Three collections. ``articles`` answers all examples but one: the guide's three stages ask ``full`` with three numbers
where its two stages ask it with four, so the three stages have ``stages``, a collection of their own, in which ``full``
is of size 3. (Its default vector is of size 4, since the TypeScript snippet of the token vectors asks the default
vector with four numbers.) ``another_collection`` is where ``lookup_from`` looks.

There are more points than the largest limit of the guide (1000), so that each limit of a prefetch decides something.
"""

import json
import random
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

import numpy as np

from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.payload import Json
from qdrantlite.values.point_id import PointId
from qdrantlite.values.schema import CollectionConfig, SparseVectorParams, VectorParams
from qdrantlite.values.vector import DenseVector, MultiVector, SparseVector, Vector
from tests.oracle import Oracle
from tests.oracle_filter import Point

ARTICLES, STAGES, OTHERS = "articles", "stages", "another_collection"
POINTS = 1100
KNOWN = "43cf51e2-8777-4f52-bc74-c2cbde0c8b04"
"""The guide's point id."""
KNOWN_NUMBER = 7
"""Its place among the points."""
LOST_NUMBERS = (3, 5)
"""Points whose full vector is the best there is, but whose bytes are zeros: only a limit of 1000 leaves them out."""
FUSED_POINTS = 60
"""Points with a sparse and a dense vector: so few that the first twenty of both have points in common."""
WIDE = 512
WIDE_POINTS = 20

DOT3, DOT4 = VectorParams(3, Distance.DOT), VectorParams(4, Distance.DOT)
BYTES = VectorParams(4, Distance.DOT, datatype=Datatype.UINT8)
TOKENS = VectorParams(2, Distance.DOT, multivector=True)
WIDE_DOT = VectorParams(WIDE, Distance.DOT)
CONFIGS: Mapping[str, CollectionConfig] = {
    ARTICLES: CollectionConfig(
        vectors={
            "": DOT3,
            "dense": VectorParams(3, Distance.COSINE),
            "full": DOT4,
            "mrl_byte": BYTES,
            "colbert": TOKENS,
            "512d-vector": WIDE_DOT,
        },
        sparse_vectors={"sparse": SparseVectorParams()},
    ),
    STAGES: CollectionConfig(vectors={"": DOT4, "full": DOT3, "mrl_byte": BYTES, "colbert": TOKENS}),
    OTHERS: CollectionConfig(vectors={"image-512": WIDE_DOT, "thumbnail": DOT3}),
}
"""What each program creates in its own words, and what the oracle reckons with."""

Record = dict[str, Json]


def records() -> dict[str, list[Record]]:
    """The points of each collection, as ``PUT /collections/NAME/points`` takes them."""
    dice = random.Random(1010)
    return {
        ARTICLES: [_article(dice, number) for number in range(1, POINTS + 1)],
        STAGES: [_stage(dice, number) for number in range(1, POINTS + 1)],
        OTHERS: [_other(dice, number) for number in (1, 2, KNOWN_NUMBER)],
    }


def write(folder: Path) -> None:
    """One file for each collection, ``NAME.json``: the body of the request that upserts all of it."""
    for name, points in records().items():
        (folder / f"{name}.json").write_text(json.dumps({"points": points}), encoding="utf-8")


def oracles() -> dict[str, Oracle]:
    """The brute-force twins of the collections."""
    found: dict[str, Oracle] = {}
    for name in (OTHERS, ARTICLES, STAGES):
        points = [_point(record) for record in records()[name]]
        found[name] = Oracle(CONFIGS[name], points, {OTHERS: found[OTHERS]} if name != OTHERS else None)
    return found


def point_id(text: Json) -> PointId:
    """A number, or the UUID that a string spells."""
    assert isinstance(text, int | str)
    return text if isinstance(text, int) else UUID(text)


def _article(dice: random.Random, number: int) -> Record:
    lost = number in LOST_NUMBERS
    vector: Record = {
        "": _floats(dice, 3),
        "full": [1.0 + number / 8] * 4 if lost else _floats(dice, 4),
        "mrl_byte": [0, 0, 0, 0] if lost else _bytes(dice),
        "colbert": [_floats(dice, 2) for _ in range(dice.randint(1, 3))],
    }
    if number <= FUSED_POINTS:
        indices: list[Json] = [7, *(index for index in (1, 42) if dice.random() < 0.7)]
        vector["dense"] = _floats(dice, 3)
        vector["sparse"] = {"indices": indices, "values": _floats(dice, len(indices))}
    if number <= WIDE_POINTS:
        vector["512d-vector"] = _floats(dice, WIDE)
    payload: Record = {
        "color": dice.choice(("red", "green", "blue")),
        "price": number * 37 % (POINTS + 1),
        "document_id": f"document-{dice.randint(1, 200)}",
    }
    return {"id": KNOWN if number == KNOWN_NUMBER else number, "vector": vector, "payload": payload}


def _stage(dice: random.Random, number: int) -> Record:
    lost = number in LOST_NUMBERS
    vector: Record = {
        "": _floats(dice, 4),
        "full": [1.0 + number / 8] * 3 if lost else _floats(dice, 3),
        "mrl_byte": [0, 0, 0, 0] if lost else _bytes(dice),
        "colbert": [[2.0, 2.0]] if lost else [_floats(dice, 2) for _ in range(dice.randint(1, 3))],
    }
    return {"id": number, "vector": vector}


def _other(dice: random.Random, number: int) -> Record:
    vector: Record = {"image-512": _floats(dice, WIDE), "thumbnail": _floats(dice, 3)}
    return {"id": KNOWN if number == KNOWN_NUMBER else number, "vector": vector}


def _floats(dice: random.Random, size: int) -> list[Json]:
    return [round(dice.random(), 4) for _ in range(size)]


def _bytes(dice: random.Random) -> list[Json]:
    return [dice.randint(1, 255) for _ in range(4)]


def _point(record: Record) -> Point:
    vectors, payload = record["vector"], record.get("payload", {})
    assert isinstance(vectors, dict)
    assert isinstance(payload, dict)
    return Point(point_id(record["id"]), {name: _vector(each) for name, each in vectors.items()}, payload)


def _vector(given: Json) -> Vector:
    if isinstance(given, dict):
        indices, values = np.array(given["indices"], dtype=np.uint32), np.array(given["values"], dtype=np.float32)
        return SparseVector.from_unsorted(indices, values)
    rows = np.array(given, dtype=np.float32)
    return DenseVector(rows) if rows.ndim == 1 else MultiVector(rows)
