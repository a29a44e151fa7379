"""gRPC's standard health check, ``grpc.health.v1``: SERVING for any service until the server begins to stop.

Watch is not registered, so it answers UNIMPLEMENTED; clients take that for healthy, as the gRPC health protocol says,
and no open watch holds a worker thread.
"""

from dataclasses import dataclass

import grpc

from qdrantlite.wire.pb import health as pb
from qdrantlite.wire.pb.services import SERVICES


@dataclass(slots=True)
class HealthSwitch:
    """What Check answers now. May be turned from any thread."""

    serving: bool = True

    def check(self, _request: pb.HealthCheckRequest, _context: grpc.ServicerContext) -> pb.HealthCheckResponse:
        status = pb.HealthCheckResponse.ServingStatus
        return pb.HealthCheckResponse(status=status.SERVING if self.serving else status.NOT_SERVING)


def register_health(server: grpc.Server) -> HealthSwitch:
    """Adds Check to a server that has not started; set ``serving`` of the result to False when it begins to stop."""
    switch = HealthSwitch()
    method = SERVICES["grpc.health.v1.Health"]["Check"]
    handler = grpc.unary_unary_rpc_method_handler(
        switch.check,
        request_deserializer=method.request.FromString,
        response_serializer=method.response.SerializeToString,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(method.service, {method.name: handler}),))
    return switch
