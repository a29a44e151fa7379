"""The messages that the C# client builds for every example, sent by our own stubs: ``replay PORT FOLDER``.

There is no .NET where this runs, so this is not the client. What it sends is what the client's source builds:
``QueryAsync`` and ``QueryGroupsAsync`` always say limit, offset, ``with_payload: true`` and ``with_vectors: false``;
``CreateCollectionAsync`` always says one shard, one replica, one acknowledgement and payloads in memory;
``UpsertAsync`` waits; and an array becomes a stored vector in the older fields ``data`` and ``indices``, which no other
client uses.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message

from qdrantlite.wire.pb import collections as c
from qdrantlite.wire.pb import json_with_int, qdrant_common
from qdrantlite.wire.pb import points as pb

KNOWN = "43cf51e2-8777-4f52-bc74-c2cbde0c8b04"
Call = Callable[[str, Message, type[Message]], Any]


def calls(channel: grpc.Channel) -> Call:
    """A function that sends one message to one method."""

    def call(method: str, request: Message, answer: type[Message]) -> Any:
        send = channel.unary_unary(
            f"/qdrant.{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        return send(request)

    return call


def main(port: str, folder: Path) -> None:
    """Creates, upserts, asks."""
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        call = calls(channel)
        _create_all(call, folder)
        for name, asked in examples().items():
            request = pb.QueryPoints(
                **{"collection_name": "articles", "limit": 10, "offset": 0, **_selectors(), **asked}
            )
            try:
                answer = call("Points/Query", request, pb.QueryResponse)
            except grpc.RpcError as error:
                print(json.dumps({"example": name, "error": f"{error.code().name} {error.details()}"}))
            else:
                print(json.dumps({"example": name, "hits": _pairs(answer.result)}))
        grouped = pb.QueryPointGroups(
            collection_name="articles",
            group_by="document_id",
            query=_dense(0.01, 0.45, 0.67),
            limit=4,
            group_size=2,
            **_selectors(),
        )
        groups = call("Points/QueryGroups", grouped, pb.QueryGroupsResponse).result.groups
        shown = [[group.id.string_value, _pairs(group.hits)] for group in groups]
        print(json.dumps({"example": "groups", "groups": shown}))


def examples() -> dict[str, dict[str, Any]]:
    """What the guide's C# snippets hand to ``QueryAsync``."""
    by_id = pb.Query(nearest=_input(KNOWN))
    by_price = pb.Query(order_by=pb.OrderBy(key="price"))
    recommended = pb.RecommendInput(positive=[_input(1), _input(KNOWN)], negative=[_input(2)])
    staged = pb.PrefetchQuery(prefetch=[_candidates()], query=_dense(0.01, 0.45, 0.67), using="full", limit=100)
    by_tokens = {"query": _tokens(), "using": "colbert"}
    return {
        "fuse-rrf": {"prefetch": _sparse_and_dense(), "query": pb.Query(fusion=pb.RRF)},
        "fuse-dbsf": {"prefetch": _sparse_and_dense(), "query": pb.Query(fusion=pb.DBSF)},
        "rescore-bytes": {"prefetch": [_candidates()], "query": _dense(0.01, 0.299, 0.45, 0.67), "using": "full"},
        "rescore-tokens": {"prefetch": [pb.PrefetchQuery(query=_dense(0.01, 0.45, 0.67), limit=100)], **by_tokens},
        "three-stages": {"collection_name": "stages", "prefetch": [staged], **by_tokens},
        "by-id": {"query": by_id},
        "by-id-using": {"query": by_id, "using": "colbert"},
        "lookup-from": _looked_up("image-512"),
        "lookup-mismatch": _looked_up("thumbnail"),
        "no-query": {},
        "defaults": {"query": _dense(0.01, 0.45, 0.67), "using": "", "filter": qdrant_common.Filter()},
        "nearest": {"query": _dense(0.01, 0.45, 0.67)},
        "recommend": {"query": pb.Query(recommend=recommended)},
        "discover": {"query": pb.Query(discover=pb.DiscoverInput(target=_input(KNOWN), context=_context()))},
        "context": {"query": pb.Query(context=_context())},
        "order-by": {"query": by_price},
        "colors-by-price": {"prefetch": [_colored("red"), _colored("green")], "query": by_price},
    }


def _selectors() -> dict[str, Any]:
    return {
        "with_payload": pb.WithPayloadSelector(enable=True),
        "with_vectors": pb.WithVectorsSelector(enable=False),
    }


def _dense(*values: float) -> pb.Query:
    return pb.Query(nearest=pb.VectorInput(dense=pb.DenseVector(data=values)))


def _tokens() -> pb.Query:
    rows = [pb.DenseVector(data=row) for row in ([0.1, 0.2], [0.2, 0.1], [0.8, 0.9])]
    return pb.Query(nearest=pb.VectorInput(multi_dense=pb.MultiDenseVector(vectors=rows)))


def _input(point_id: int | str) -> pb.VectorInput:
    return pb.VectorInput(id=_id(point_id))


def _id(point_id: int | str) -> qdrant_common.PointId:
    if isinstance(point_id, str):
        return qdrant_common.PointId(uuid=point_id)
    return qdrant_common.PointId(num=point_id)


def _sparse_and_dense() -> list[pb.PrefetchQuery]:
    sparse = pb.VectorInput(sparse=pb.SparseVector(values=[0.22, 0.8], indices=[1, 42]))
    return [
        pb.PrefetchQuery(query=pb.Query(nearest=sparse), using="sparse", limit=20),
        pb.PrefetchQuery(query=_dense(0.01, 0.45, 0.67), using="dense", limit=20),
    ]


def _candidates() -> pb.PrefetchQuery:
    return pb.PrefetchQuery(query=_dense(1, 23, 45, 67), using="mrl_byte", limit=1000)


def _colored(color: str) -> pb.PrefetchQuery:
    match = qdrant_common.FieldCondition(key="color", match=qdrant_common.Match(keyword=color))
    only = qdrant_common.Filter(must=[qdrant_common.Condition(field=match)])
    return pb.PrefetchQuery(query=_dense(0.01, 0.45, 0.67), filter=only, limit=10)


def _looked_up(vector: str) -> dict[str, Any]:
    location = pb.LookupLocation(collection_name="another_collection", vector_name=vector)
    return {"query": pb.Query(nearest=_input(KNOWN)), "using": "512d-vector", "lookup_from": location}


def _context() -> pb.ContextInput:
    pairs = ((1, 2), (8, 9))
    return pb.ContextInput(pairs=[pb.ContextInputPair(positive=_input(a), negative=_input(b)) for a, b in pairs])


def _create_all(call: Call, folder: Path) -> None:
    def dot(size: int, **rest: Any) -> c.VectorParams:
        return c.VectorParams(size=size, distance=c.Dot, **rest)

    several = c.MultiVectorConfig(comparator=c.MaxSim)
    short, late = dot(4, datatype=c.Uint8), dot(2, multivector_config=several)
    cosine = c.VectorParams(size=3, distance=c.Cosine)
    configs = {
        "another_collection": {"image-512": dot(512), "thumbnail": dot(3)},
        "articles": {
            "": dot(3),
            "dense": cosine,
            "full": dot(4),
            "mrl_byte": short,
            "colbert": late,
            "512d-vector": dot(512),
        },
        "stages": {"": dot(4), "full": dot(3), "mrl_byte": short, "colbert": late},
    }
    for name, vectors in configs.items():
        call("Collections/Delete", c.DeleteCollection(collection_name=name), c.CollectionOperationResponse)
        request = c.CreateCollection(
            collection_name=name,
            vectors_config=c.VectorsConfig(params_map=c.VectorParamsMap(map=vectors)),
            shard_number=1,
            replication_factor=1,
            write_consistency_factor=1,
            on_disk_payload=False,
        )
        if name == "articles":
            request.sparse_vectors_config.map["sparse"].SetInParent()
        call("Collections/Create", request, c.CollectionOperationResponse)
        upsert = pb.UpsertPoints(collection_name=name, wait=True, points=_points(folder, name))
        call("Points/Upsert", upsert, pb.PointsOperationResponse)
    index = pb.CreateFieldIndexCollection(
        collection_name="articles", field_name="price", field_type=pb.FieldTypeInteger, wait=True
    )
    call("Points/CreateFieldIndex", index, pb.PointsOperationResponse)


def _points(folder: Path, name: str) -> list[pb.PointStruct]:
    records = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["points"]
    return [
        pb.PointStruct(
            id=_id(record["id"]),
            vectors=pb.Vectors(
                vectors=pb.NamedVectors(vectors={key: _stored(given) for key, given in record["vector"].items()})
            ),
            payload={key: _value(given) for key, given in record.get("payload", {}).items()},
        )
        for record in records
    ]


def _stored(given: Any) -> pb.Vector:
    if isinstance(given, dict):
        return pb.Vector(data=given["values"], indices=pb.SparseIndices(data=given["indices"]))
    if isinstance(given[0], list):
        return pb.Vector(data=[value for row in given for value in row], vectors_count=len(given))
    return pb.Vector(data=given)


def _value(given: int | str) -> json_with_int.Value:
    if isinstance(given, str):
        return json_with_int.Value(string_value=given)
    return json_with_int.Value(integer_value=given)


def _pairs(hits: Sequence[pb.ScoredPoint]) -> list[Any]:
    return [[hit.id.uuid or hit.id.num, hit.score] for hit in hits]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
