"""The RPCs of ``qdrant.Snapshots``. None is built yet, so all are answered UNIMPLEMENTED."""

from collections.abc import Mapping

from qdrantlite.wire.grpc.dispatch import BriefRpc

RPCS: Mapping[str, BriefRpc] = {}
