"""Speaks to the world: gRPC and REST on one ``Database``. The only home of protobuf, grpc and starlette."""
