"""What the contract offers, as a table: service → method → messages, read off the descriptors.

It serves whoever registers methods on a server; it knows nothing of grpc, nor of what a method does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from qdrantlite.wire.pb.pool import file_descriptors


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC: ``service`` is the full name (``qdrant.Points``), the flags say which side sends a stream."""

    service: str
    name: str
    request: type[Message]
    response: type[Message]
    request_streams: bool
    response_streams: bool

    @property
    def path(self) -> str:
        """As gRPC names it on the wire: ``/qdrant.Points/Upsert``."""
        return f"/{self.service}/{self.name}"


def methods_of(service: ServiceDescriptor) -> Mapping[str, Method]:
    """Methods by name, in the order of the .proto file."""
    return MappingProxyType(
        {
            method.name: Method(
                service=service.full_name,
                name=method.name,
                request=GetMessageClass(method.input_type),
                response=GetMessageClass(method.output_type),
                request_streams=method.client_streaming,
                response_streams=method.server_streaming,
            )
            for method in service.methods
        }
    )


SERVICES: Mapping[str, Mapping[str, Method]] = MappingProxyType(
    {
        service.full_name: methods_of(service)
        for file in file_descriptors()
        for service in file.services_by_name.values()
    }
)
"""Full service name → method name → method. Packages: ``qdrant``, ``grpc.health.v1``, ``grpc.reflection.*``."""
