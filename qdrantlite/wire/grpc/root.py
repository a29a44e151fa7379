"""The RPC of ``qdrant.Qdrant``: who answers, and in which version of the API."""

from collections.abc import Mapping

from qdrantlite.version import API_VERSION, COMMIT, TITLE
from qdrantlite.wire.engine import Engine
from qdrantlite.wire.grpc.dispatch import BriefRpc
from qdrantlite.wire.pb import qdrant as pb


def health_check(_engine: Engine, _request: pb.HealthCheckRequest) -> pb.HealthCheckReply:
    """Title, version and commit, as ``GET /`` gives them."""
    return pb.HealthCheckReply(title=TITLE, version=API_VERSION, commit=COMMIT)


RPCS: Mapping[str, BriefRpc] = {"HealthCheck": health_check}
