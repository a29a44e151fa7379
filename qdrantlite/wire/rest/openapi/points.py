"""Schemas of points: ids, vectors, payloads, selectors, reads and writes."""

from qdrantlite.wire.rest.openapi.schema import (
    ANYTHING,
    COUNT,
    FLAG,
    FLOAT,
    INTEGER,
    NULL,
    NUMBER,
    OBJECT,
    SMALL_COUNT,
    TEXT,
    Schemas,
    array,
    at_least,
    gives,
    maybe,
    needs,
    one,
    ref,
    table,
    tagged,
    words,
)

_SHARD_KEY = {"shard_key": ref("ShardKeySelector")}
_SELECTED = {"points": array(ref("ExtendedPointId")), "filter": ref("Filter"), **_SHARD_KEY}

POINTS: Schemas = {
    "ExtendedPointId": one(COUNT, {**TEXT, "format": "uuid"}),
    "ShardKeySelector": one(TEXT, COUNT, array(one(TEXT, COUNT))),
    "Payload": {"type": "object", "additionalProperties": True},
    "DenseVector": array(FLOAT, least=1),
    "MultiDenseVector": array(array(FLOAT, least=1), least=1),
    "SparseVector": needs(
        {"indices": array(SMALL_COUNT), "values": array(FLOAT)}, about="as many values as indices, which are unique"
    ),
    "Document": needs({"text": TEXT, "model": TEXT}, {"options": OBJECT}),
    "Image": needs({"image": ANYTHING, "model": TEXT}, {"options": OBJECT}),
    "InferenceObject": needs({"object": ANYTHING, "model": TEXT}, {"options": OBJECT}),
    "Inference": one(ref("Document"), ref("Image"), ref("InferenceObject")),
    "Vector": one(ref("DenseVector"), ref("SparseVector"), ref("MultiDenseVector"), ref("Inference")),
    "VectorStruct": one(ref("DenseVector"), ref("MultiDenseVector"), table(ref("Vector")), ref("Inference")),
    "VectorStructOutput": one(
        array(FLOAT),
        array(array(FLOAT)),
        table(one(array(maybe(FLOAT)), array(array(maybe(FLOAT))), ref("SparseVector"))),
    ),
    "PayloadSelector": one(
        needs({"include": array(ref("PayloadPath"))}, closed=True),
        needs({"exclude": array(ref("PayloadPath"))}, closed=True),
    ),
    "WithPayloadInterface": one(FLAG, array(ref("PayloadPath")), ref("PayloadSelector")),
    "WithVector": one(FLAG, array(TEXT)),
    "OrderValue": one(INTEGER, NUMBER),
    "Record": gives(
        {"id": ref("ExtendedPointId")},
        {"payload": maybe(ref("Payload")), "vector": ref("VectorStructOutput"), "order_value": ref("OrderValue")},
    ),
    "ScoredPoint": gives(
        {"id": ref("ExtendedPointId"), "version": COUNT, "score": maybe(FLOAT)},
        {"payload": maybe(ref("Payload")), "vector": ref("VectorStructOutput"), "order_value": ref("OrderValue")},
    ),
    "UpdateResult": gives(
        {"operation_id": maybe(COUNT), "status": words("acknowledged", "completed", "wait_timeout", "clock_rejected")}
    ),
}

READS: Schemas = {
    "Direction": words("asc", "desc"),
    "OrderBy": needs({"key": ref("PayloadPath")}, {"direction": ref("Direction"), "start_from": one(NUMBER, TEXT)}),
    "PointRequest": needs(
        {"ids": array(ref("ExtendedPointId"))},
        {"with_payload": ref("WithPayloadInterface"), "with_vector": ref("WithVector"), **_SHARD_KEY},
    ),
    "ScrollRequest": needs(
        {},
        {
            "filter": ref("Filter"),
            "limit": at_least(1),
            "offset": ref("ExtendedPointId"),
            "order_by": one(ref("OrderBy"), ref("PayloadPath")),
            "with_payload": ref("WithPayloadInterface"),
            "with_vector": ref("WithVector"),
            **_SHARD_KEY,
        },
    ),
    "ScrollResult": gives(
        {"points": array(ref("Record")), "next_page_offset": maybe(ref("ExtendedPointId"))},
    ),
    "CountRequest": needs({}, {"filter": ref("Filter"), "exact": FLAG, **_SHARD_KEY}),
    "CountResult": gives({"count": COUNT}),
    "FacetRequest": needs(
        {"key": ref("PayloadPath")}, {"filter": ref("Filter"), "limit": at_least(1), "exact": FLAG, **_SHARD_KEY}
    ),
    "FacetResponse": gives({"hits": array(gives({"value": one(TEXT, INTEGER, FLAG), "count": COUNT}))}),
    "SearchMatrixRequest": needs(
        {}, {"filter": ref("Filter"), "sample": at_least(2), "limit": at_least(1), "using": TEXT, **_SHARD_KEY}
    ),
    "SearchMatrixPairsResponse": gives(
        {"pairs": array(gives({"a": ref("ExtendedPointId"), "b": ref("ExtendedPointId"), "score": maybe(FLOAT)}))}
    ),
    "SearchMatrixOffsetsResponse": gives(
        {
            "offsets_row": array(COUNT),
            "offsets_col": array(COUNT),
            "scores": array(maybe(FLOAT)),
            "ids": array(ref("ExtendedPointId")),
        }
    ),
}

_UPDATES = {"update_filter": ref("Filter"), "update_mode": words("upsert", "insert_only", "update_only"), **_SHARD_KEY}
_OPERATIONS = {
    "upsert": "PointInsertOperations",
    "delete": "PointsSelector",
    "set_payload": "SetPayload",
    "overwrite_payload": "SetPayload",
    "delete_payload": "DeletePayload",
    "clear_payload": "PointsSelector",
    "update_vectors": "UpdateVectors",
    "delete_vectors": "DeleteVectors",
}

WRITES: Schemas = {
    "PointStruct": needs({"id": ref("ExtendedPointId"), "vector": ref("VectorStruct")}, {"payload": ref("Payload")}),
    "PointVectors": needs({"id": ref("ExtendedPointId"), "vector": ref("VectorStruct")}),
    "Batch": needs(
        {
            "ids": array(ref("ExtendedPointId")),
            "vectors": one(
                array(ref("DenseVector")),
                array(ref("MultiDenseVector")),
                array(ref("Inference")),
                table(array(ref("Vector"))),
            ),
        },
        {"payloads": array(one(ref("Payload"), NULL))},
        about="as many vectors and payloads as ids",
    ),
    "PointInsertOperations": one(
        needs({"points": array(ref("PointStruct"), least=1)}, _UPDATES), needs({"batch": ref("Batch")}, _UPDATES)
    ),
    "PointsSelector": one(
        needs({"points": array(ref("ExtendedPointId"))}, _SHARD_KEY, closed=True),
        needs({"filter": ref("Filter")}, _SHARD_KEY, closed=True),
    ),
    "UpdateVectors": needs(
        {"points": array(ref("PointVectors"), least=1)}, {"update_filter": ref("Filter"), **_SHARD_KEY}
    ),
    "DeleteVectors": needs({"vector": array(TEXT, least=1)}, _SELECTED),
    "SetPayload": needs({"payload": ref("Payload")}, {**_SELECTED, "key": ref("PayloadPath")}),
    "DeletePayload": needs({"keys": array(ref("PayloadPath"))}, _SELECTED),
    "UpdateOperation": one(*(tagged(name, ref(schema)) for name, schema in _OPERATIONS.items())),
    "UpdateOperations": needs({"operations": array(ref("UpdateOperation"))}),
}
