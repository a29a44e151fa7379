"""Get, Scroll and Count, each with its own defaults."""

import pytest

from qdrantlite.errors import BadRequest, ValidationFailed
from qdrantlite.query.filter import EMPTY_FILTER
from qdrantlite.query.search import ALL_PAYLOAD, NO_PAYLOAD, NO_VECTORS, Direction, OrderBy, Scroll, VectorsSelector
from qdrantlite.wire.grpc.decode.read import Counting, Retrieval, decode_count, decode_get, decode_scroll
from qdrantlite.wire.grpc.decode.selector import check_timeout
from qdrantlite.wire.pb import points as pb


def test_scroll_brings_payload_unless_told_otherwise() -> None:
    assert decode_scroll(pb.ScrollPoints(collection_name="c")) == Scroll()
    assert Scroll().with_payload == ALL_PAYLOAD
    off = pb.ScrollPoints(collection_name="c", with_payload=pb.WithPayloadSelector(enable=False))
    assert decode_scroll(off).with_payload == NO_PAYLOAD


def test_fields_of_a_scroll_arrive() -> None:
    order = pb.OrderBy(key="k", direction=pb.Direction.Desc, start_from=pb.StartFrom(datetime="2020-01-01"))
    assert decode_scroll(pb.ScrollPoints(collection_name="c", limit=3, order_by=order)) == Scroll(
        limit=3, order_by=OrderBy("k", Direction.DESC, "2020-01-01")
    )
    offset = pb.ScrollPoints(collection_name="c", offset={"num": 0}, filter={})  # type: ignore[arg-type]  # nested fields
    assert decode_scroll(offset) == Scroll(offset=0, filter=EMPTY_FILTER)


def test_scroll_refuses_what_contradicts_itself() -> None:
    with pytest.raises(ValidationFailed, match="limit: value 0 invalid, must be 1 or larger"):
        decode_scroll(pb.ScrollPoints(collection_name="c", limit=0))
    both = pb.ScrollPoints(collection_name="c", offset={"num": 1}, order_by={"key": "k"})  # type: ignore[arg-type]  # nested fields
    with pytest.raises(BadRequest, match="Cannot use an `offset` when using `order_by`"):
        decode_scroll(both)


def test_get_brings_nothing_but_ids_unless_asked() -> None:
    message = pb.GetPoints(collection_name="c", ids=[{"num": 2}, {"num": 2}])  # type: ignore[list-item]  # nested fields
    assert decode_get(message) == Retrieval((2, 2), NO_PAYLOAD, NO_VECTORS)
    message.with_vectors.include.names.append("v")
    message.with_payload.enable = True
    assert decode_get(message) == Retrieval((2, 2), ALL_PAYLOAD, VectorsSelector(names=("v",)))


def test_count_is_exact_unless_told_otherwise() -> None:
    assert decode_count(pb.CountPoints(collection_name="c")) == Counting(None, True)
    assert decode_count(pb.CountPoints(collection_name="c", exact=False)) == Counting(None, False)


def test_only_searches_and_changes_of_collections_refuse_to_take_no_time() -> None:
    with pytest.raises(ValidationFailed, match="timeout: value 0 invalid"):
        check_timeout(pb.QueryPoints(timeout=0))
    check_timeout(pb.QueryPoints())
    decode_count(pb.CountPoints(collection_name="c", timeout=0))
    decode_scroll(pb.ScrollPoints(collection_name="c", timeout=0))
    decode_get(pb.GetPoints(collection_name="c", timeout=0))
