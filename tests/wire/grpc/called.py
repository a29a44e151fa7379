"""Calls by path, and what becomes of those that fail."""

from typing import Any

import grpc
import pytest

from qdrantlite.wire.pb import points
from qdrantlite.wire.pb.qdrant_common import PointId
from qdrantlite.wire.pb.services import SERVICES

QUERY = points.QueryPoints(collection_name="books")
DELETE = points.DeletePoints(
    collection_name="books", points=points.PointsSelector(points=points.PointsIdsList(ids=[PointId(num=1)]))
)


def call(channel: grpc.Channel, path: str, request: Any = None, **options: Any) -> Any:
    service, name = path.removeprefix("/").split("/")
    method = SERVICES[service][name]
    stub = channel.unary_unary(
        path, request_serializer=method.request.SerializeToString, response_deserializer=method.response.FromString
    )
    return stub(method.request() if request is None else request, timeout=options.pop("timeout", 5.0), **options)


def failure(channel: grpc.Channel, path: str, request: Any = None, **options: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(channel, path, request, **options)
    error: Any = caught.value
    return error.code(), error.details()
