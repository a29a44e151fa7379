"""What is wrong with a request is told with Qdrant's statuses and texts."""

from typing import Any

import httpx
import pytest

from tests.wire.rest.test_protocol import error

VECTOR = {"size": 2, "distance": "Dot"}
VALIDATION = "Validation error in JSON body: "

CREATE: list[tuple[Any, int, str]] = [
    (
        {"vectors": {"size": 65537, "distance": "Dot"}},
        422,
        "[vectors.size: value 65537 invalid, must be from 1 to 65536]",
    ),
    (
        {"vectors": {"size": 0, "distance": "Dot"}},
        400,
        "invalid value: integer `0`, expected a nonzero u64 at `vectors.size`",
    ),
    ({"vectors": {"size": -1, "distance": "Dot"}}, 400, "invalid value: integer `-1`"),
    ({"vectors": {"size": 1.5, "distance": "Dot"}}, 400, "invalid type: floating point `1.5`"),
    ({"vectors": {"size": True, "distance": "Dot"}}, 400, "invalid type: boolean `true`"),
    ({"vectors": {"size": 2}}, 400, "missing field `distance` at `vectors`"),
    (
        {"vectors": {"size": 2, "distance": "dot"}},
        400,
        "unknown variant `dot`, expected one of `Cosine`, `Euclid`, `Dot`",
    ),
    ({"vectors": {"a": VECTOR, "b": 5}}, 400, "invalid type: integer `5`, expected a map at `vectors.b`"),
    ({"vectors": {"a/b": VECTOR}}, 422, 'vector name cannot contain "/" char'),
    ({"vectors": {"a": VECTOR}, "sparse_vectors": {"a": {}}}, 400, "Wrong input: Vector name 'a' is used"),
    ({"sparse_vectors": {"": {}}}, 400, "Wrong input: Sparse vector must be named"),
    ({"shard_number": 0}, 422, "[shard_number: value 0 invalid, must be 1 or larger]"),
    ({"wal_config": {"wal_capacity_mb": 0}}, 422, "[wal_config.wal_capacity_mb: value 0 invalid, must be 1 or larger]"),
    ({"hnsw_config": {"ef_construct": 3}}, 422, "[hnsw_config.ef_construct: value 3 invalid, must be 4 or larger]"),
    (
        {"quantization_config": {"scalar": {"type": "int8", "quantile": 0.2}}},
        422,
        "quantization_config.scalar.quantile",
    ),
    ({"quantization_config": {"odd": {}}}, 400, "untagged enum QuantizationConfig at `quantization_config`"),
    ({"strict_mode_config": {"max_timeout": 0}}, 422, "[strict_mode_config.max_timeout: value 0 invalid"),
]
EMPTY = "Bad request: Empty update request"
POINTS: list[tuple[str, str, Any, int, str]] = [
    ("PUT", "/points", {}, 400, "Invalid PointInsertOperations format"),
    ("PUT", "/points", {"points": []}, 400, EMPTY),
    ("PUT", "/points", {"batch": {"ids": [], "vectors": []}}, 400, EMPTY),
    ("PUT", "/points/vectors", {"points": []}, 422, "[points: must specify points to update]"),
    ("POST", "/points/payload", {"points": [], "payload": {"a": 1}}, 400, EMPTY),
    ("POST", "/points/payload", {"points": [], "payload": {"a": 1}, "filter": {}}, 400, EMPTY),
    ("PUT", "/points/payload", {"points": [], "payload": {"a": 1}}, 400, EMPTY),
    ("POST", "/points/payload/delete", {"points": [], "keys": ["a"]}, 400, EMPTY),
    ("POST", "/points/payload/clear", {"points": []}, 400, EMPTY),
    ("POST", "/points/vectors/delete", {"points": [], "vector": ["a"]}, 400, EMPTY),
    ("POST", "/points/batch", {"operations": [{"clear_payload": {"points": []}}]}, 400, EMPTY),
    ("PUT", "/points", {"points": [{"vector": {}}]}, 400, "missing field `id` at `points[0]`"),
    ("PUT", "/points", {"points": [{"id": 1}]}, 400, "missing field `vector` at `points[0]`"),
    (
        "PUT",
        "/points",
        {"points": [{"id": "x", "vector": {}}]},
        400,
        "value x is not a valid point ID, valid values are",
    ),
    ("PUT", "/points", {"points": [{"id": -1, "vector": {}}]}, 400, "value -1 is not a valid point ID"),
    ("PUT", "/points", {"points": [{"id": True, "vector": {}}]}, 400, "value true is not a valid point ID"),
    ("PUT", "/points", {"points": [{"id": [1], "vector": {}}]}, 400, "value array is not a valid point ID"),
    ("PUT", "/points", {"points": [{"id": 1, "vector": {"a": []}}]}, 422, "[points[0].vector.a"),
    (
        "PUT",
        "/points",
        {"points": [{"id": 1, "vector": {"a": [1, "2"]}}]},
        400,
        'string "2", expected a number at `points[0].',
    ),
    ("PUT", "/points", {"points": [{"id": 1, "vector": {"a": [0.5, True]}}]}, 400, "boolean `true`, expected a number"),
    (
        "PUT",
        "/points",
        {"points": [{"id": 1, "vector": {"a": [0.5, None]}}]},
        400,
        "invalid type: null, expected a number",
    ),
    (
        "PUT",
        "/points",
        {"points": [{"id": 1, "vector": {"a": [1, 2, 3]}}]},
        400,
        "Vector dimension error: expected dim: 2, got 3",
    ),
    (
        "PUT",
        "/points",
        {"points": [{"id": 1, "vector": {"m": [[1, 2], [1]]}}]},
        422,
        "all vectors must have the same dimension",
    ),
    (
        "PUT",
        "/points",
        {"points": [{"id": 1, "vector": {"s": {"indices": [1, 1], "values": [1, 2]}}}]},
        422,
        "must be unique",
    ),
    (
        "PUT",
        "/points",
        {"points": [{"id": 1, "vector": {"s": {"indices": [1], "values": []}}}]},
        422,
        "must be the same length",
    ),
    (
        "PUT",
        "/points",
        {"points": [{"id": 1, "vector": {"s": {"indices": [-1], "values": [1]}}}]},
        400,
        "integer `-1`, expected u32",
    ),
    ("PUT", "/points", {"points": [{"id": 1, "vector": "x"}]}, 400, "untagged enum VectorStruct at `points[0].vector`"),
    (
        "PUT",
        "/points",
        {"points": [{"id": 1, "vector": {}, "payload": []}]},
        400,
        "invalid type: sequence, expected a map",
    ),
    (
        "PUT",
        "/points",
        {"batch": {"ids": [1, 2], "vectors": {"a": [[1, 2]]}}},
        422,
        "[batch.batch: number of ids and vectors must be equal (2 != 1)]",
    ),
    (
        "PUT",
        "/points",
        {"batch": {"ids": [1], "vectors": [[1, 2]], "payloads": []}},
        422,
        "batch: number of ids and payloads",
    ),
    ("PUT", "/points?wait=maybe", {"points": [{"id": 1, "vector": {}}]}, 400, "Deserialize error in query parameters"),
    (
        "PUT",
        "/points?ordering=odd",
        {"points": [{"id": 1, "vector": {}}]},
        400,
        "unknown variant `odd`, expected one of `weak`",
    ),
    ("PUT", "/points?timeout=0", {"points": [{"id": 1, "vector": {}}]}, 400, "invalid value: integer `0`"),
    ("POST", "/points/delete", {"points": []}, 400, EMPTY),
    ("POST", "/points/delete", {}, 400, "untagged enum PointsSelector"),
    (
        "POST",
        "/points/delete",
        {"filter": {"mist": []}},
        400,
        "unknown field `mist`, expected one of `should`, `min_should`",
    ),
    ("POST", "/points/payload", {"payload": {"a": 1}}, 400, "Either list of point ids or filter must be provided"),
    ("POST", "/points/payload", {"payload": {"a": 1}, "points": [1], "key": "a b"}, 400, "Invalid json path: 'a b'"),
    ("POST", "/points/vectors/delete", {"points": [1], "vector": []}, 422, "[vector: must specify vector names to"),
    ("PUT", "/points/vectors", {"points": [{"id": 1, "vector": {}}]}, 422, "must specify vectors to update for point"),
    ("POST", "/points/batch", {"operations": [{"odd": {}}]}, 400, "untagged enum UpdateOperation at `operations[0]`"),
    ("PUT", "/index", {"field_name": "a"}, 400, "Bad request: Can't auto-detect field type"),
    (
        "PUT",
        "/index",
        {"field_name": "a", "field_schema": "odd"},
        400,
        "unknown variant `odd`, expected one of `keyword`",
    ),
    (
        "PUT",
        "/index",
        {"field_name": "a", "field_schema": {"type": "keyword", "nested": "a"}},
        400,
        "field `a` must be inside the elements of nested `a[]`",
    ),
    (
        "PUT",
        "/index",
        {"field_name": "a", "field_schema": {"type": "text", "stopwords": "klingon"}},
        400,
        "No stopwords for language 'klingon'",
    ),
    ("PUT", "/vectors/v", {"dense": {"size": 0, "distance": "Dot"}}, 422, "[dense.size: value 0 invalid"),
    ("GET", "/points/nine", None, 400, 'Wrong input: Can not recognize "nine" as point id'),
    ("GET", "/points/9", None, 404, "Not found: Point with id 9 does not exists!"),
    ("GET", "/points/1?consistency=0", None, 400, "expected a read consistency factor greater than 0"),
    ("GET", "/points/1?timeout=x", None, 400, "Deserialize error in query parameters"),
]
READS: list[tuple[str, Any, int, str]] = [
    ("/query", {"limit": 0}, 422, "[limit: value 0 invalid, must be 1 or larger]"),
    ("/query", {"limit": -1}, 400, "invalid value: integer `-1`, expected u64 at `limit`"),
    ("/query", {"query": {"odd": 1}}, 400, "Expected some form of vector, id, or a type of query at `query`"),
    ("/query", {"query": True, "using": "a"}, 400, "Expected some form of vector"),
    ("/query", {"query": [1, 2, 3], "using": "a"}, 400, "Wrong input: Vector dimension error: expected dim: 2, got 3"),
    ("/query", {"query": [1, 2], "using": "x"}, 400, "Wrong input: Not existing vector name error: x"),
    ("/query", {"query": 9, "using": "a"}, 404, "Not found: No point with id 9 found"),
    (
        "/query",
        {"query": {"fusion": "odd"}},
        400,
        "unknown variant `odd`, expected one of `rrf`, `dbsf` at `query.fusion`",
    ),
    ("/query", {"query": {"fusion": "rrf"}}, 400, "cannot apply Fusion without prefetches"),
    ("/query", {"query": {"rrf": {"k": 0}}}, 422, "[query.rrf.k: value 0 invalid, must be 1 or larger]"),
    ("/query", {"prefetch": {"query": [1, 2], "limit": 0}}, 422, "[prefetch"),
    ("/query", {"prefetch": [{"query": [1, 2], "limit": "x"}]}, 400, 'string "x", expected u64 at `prefetch[0].limit`'),
    ("/query", {"params": {"hnsw_ef": 0}}, 422, "[params.hnsw_ef: value 0 invalid, must be 1 or larger]"),
    (
        "/query",
        {"filter": {"must": [{"odd": 1}]}},
        400,
        "Expected some form of condition, which can be a field condition",
    ),
    ("/query", {"filter": {"must": {"key": "a"}}}, 422, "At least one field condition must be specified"),
    ("/query", {"filter": {"must": {"key": "", "match": {"value": 1}}}}, 400, "Invalid json path: ''"),
    ("/query", {"filter": {"must": {"key": "a", "match": {"value": 1.5}}}}, 400, "untagged enum MatchInterface"),
    ("/query", {"filter": {"must": {"key": "a", "match": {"any": [1, "a"]}}}}, 400, "untagged enum AnyVariants"),
    (
        "/query",
        {"filter": {"min_should": {"conditions": [], "min_count": 0}}},
        422,
        "[filter.min_should.min_count: value 0",
    ),
    ("/query", {"filter": {"must": {"slice": {"total": 2, "index": 2}}}}, 422, "must be less than total 2"),
    (
        "/query",
        {"filter": {"must": {"key": "a", "geo_radius": {"center": {"lon": 0, "lat": 91}, "radius": 1}}}},
        422,
        ".lat: value 91",
    ),
    ("/query", {"filter": {"must": {"key": "a", "range": {"gte": "soon"}}}}, 400, "`filter.must.range.gte`"),
    ("/query", {"with_payload": "yes"}, 400, "untagged enum WithPayloadInterface at `with_payload`"),
    ("/query", {"with_payload": {"include": ["n"], "odd": 1}}, 400, "unknown field `odd`"),
    ("/query", {"with_payload": {"include": None}}, 400, "missing field `include` at `with_payload`"),
    ("/query", {"with_payload": {"exclude": None}}, 400, "missing field `exclude` at `with_payload`"),
    # Of an empty vector in a query Qdrant says what the collection says of it; one to store is refused unread.
    ("/query", {"query": [], "using": "a"}, 400, "Wrong input: Vector dimension error: expected dim: 2, got 0"),
    ("/query", {"query": {"nearest": [], "mmr": {}}, "using": "m"}, 400, "expected dim: 2, got 0"),
    ("/query", {"query": {"recommend": {"positive": [[1, 2], []]}}, "using": "a"}, 400, "expected dim: 2, got 0"),
    ("/query", {"query": [], "using": "s"}, 400, "Conversion between sparse and regular vectors failed"),
    ("/search", {"vector": {"name": "a", "vector": []}, "limit": 1}, 400, "expected dim: 2, got 0"),
    (
        "/query",
        {"query": {"indices": [1], "values": [1, 2]}, "using": "s"},
        422,
        "[query.values: Validation error: must be the same length as indices [{}]]",
    ),
    (
        "/query",
        {"query": {"formula": {"mult": ["$score", []]}}},
        400,
        "untagged enum Expression at `query.formula.mult[1]`|formula",
    ),
    ("/query/batch", {"searches": [{"limit": 0}]}, 422, "[searches[0].limit: value 0 invalid"),
    ("/query/groups", {"query": [1, 2], "using": "a"}, 400, "missing field `group_by`"),
    ("/query/groups", {"query": [1, 2], "using": "a", "group_by": "n", "group_size": 0}, 422, "[group_size: value 0"),
    ("/search", {"vector": {"name": "a", "vector": [1, 2]}}, 400, "missing field `limit`"),
    ("/search", {"vector": {"name": "a", "vector": [1, 2]}, "limit": 0}, 422, "[limit: value 0 invalid"),
    ("/recommend", {"positive": [], "limit": 1}, 400, "At least one positive vector ID required with this strategy"),
    ("/discover", {"limit": 1}, 400, "target and/or context_pairs must be specified"),
    ("/scroll", {"limit": 0}, 422, "[limit: value 0 invalid, must be 1 or larger]"),
    ("/scroll", {"offset": 1, "order_by": "n"}, 400, "Bad request: Cannot use an `offset` when using `order_by`"),
    ("/count", {"exact": 1}, 400, "invalid type: integer `1`, expected a boolean at `exact`"),
    ("", {"ids": 1}, 400, "invalid type: integer `1`, expected a sequence at `ids`"),
]


def assert_refused(response: httpx.Response, status: int, text: str) -> None:
    told = error(response)
    assert (response.status_code, any(part in told for part in text.split("|"))) == (status, True), told
    if status == 422:
        assert told.startswith(VALIDATION)


@pytest.mark.parametrize(("body", "status", "text"), CREATE)
def test_wrong_collection_is_refused(http: httpx.Client, body: Any, status: int, text: str) -> None:
    assert_refused(http.put("/collections/c", json=body), status, text)


@pytest.mark.parametrize(("method", "path", "body", "status", "text"), POINTS)
def test_wrong_write_is_refused(books: httpx.Client, method: str, path: str, body: Any, status: int, text: str) -> None:
    assert_refused(books.request(method, "/collections/books" + path, json=body), status, text)


def test_wrong_reads_are_refused(books: httpx.Client) -> None:
    for path, body, status, text in READS:
        assert_refused(books.post("/collections/books/points" + path, json=body), status, text)


def test_names_that_are_taken_or_unknown_have_their_own_statuses(books: httpx.Client) -> None:
    assert_refused(books.put("/collections/books", json={}), 409, "Wrong input: Collection `books` already exists!")
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {}),
        ("GET", "/aliases", None),
        ("GET", "/cluster", None),
        ("GET", "/shards", None),
        ("POST", "/points/scroll", {}),
        ("POST", "/points/batch", {"operations": []}),
    ):
        response = books.request(method, "/collections/none" + path, json=body)
        assert_refused(response, 404, "Not found: Collection `none` doesn't exist!")
    assert books.delete("/collections/none").json()["result"] is False
    assert books.get("/collections/none/exists").json()["result"] == {"exists": False}


def test_only_a_cluster_could(books: httpx.Client) -> None:
    standalone = "Qdrant is running in standalone mode"
    assert_refused(books.put("/collections/books/shards", json={"shard_key": "a"}), 405, standalone)
    assert_refused(books.post("/collections/books/cluster", json={"drop_replica": {}}), 405, standalone)
    assert_refused(books.delete("/cluster/peer/1"), 405, standalone)
    assert books.get("/cluster").json()["result"] == {"status": "disabled"}


@pytest.mark.parametrize(
    ("parameters", "status", "text"),
    [
        ("details_level=much", 400, "Deserialize error in query parameters: invalid digit found in string"),
        ("details_level=-1", 400, "Deserialize error in query parameters: invalid digit found in string"),
        ("anonymize=maybe", 400, "Deserialize error in query parameters: provided string was not `true` or `false`"),
        ("timeout=0", 422, "Validation error in query parameters: [timeout: value 0 invalid, must be 1 or larger]"),
    ],
)
def test_telemetry_reads_its_parameters(http: httpx.Client, parameters: str, status: int, text: str) -> None:
    response = http.get(f"/telemetry?{parameters}")
    assert (response.status_code, error(response)) == (status, text)


def test_timeout_of_a_change_is_a_second_at_least(http: httpx.Client) -> None:
    response = http.put("/collections/c?timeout=0", json={})
    assert response.status_code == 422
    assert error(response) == "Validation error in query parameters: [timeout: value 0 invalid, must be 1 or larger]"


NOT_BUILT = (
    ("GET", "/collections/books/snapshots"),
    ("GET", "/collections/books/memory"),
    ("GET", "/metrics"),
    ("GET", "/profiler/slow_requests"),
)


@pytest.mark.parametrize(("method", "path"), NOT_BUILT)
def test_what_is_not_built_says_so(books: httpx.Client, method: str, path: str) -> None:
    assert_refused(books.request(method, path), 501, "not implemented by this server")
