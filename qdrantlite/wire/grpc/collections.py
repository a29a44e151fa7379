"""The RPCs of ``qdrant.Collections``: decode, ask the engine, encode. ``RPCS`` is the table that is served."""

from collections.abc import Mapping

from qdrantlite.errors import MalformedRequest, StandaloneMode
from qdrantlite.wire.bounds import collection_name
from qdrantlite.wire.engine import Engine
from qdrantlite.wire.grpc.decode.collection import decode_alias_actions, decode_create, decode_update
from qdrantlite.wire.grpc.decode.selector import check_timeout
from qdrantlite.wire.grpc.dispatch import BriefRpc
from qdrantlite.wire.grpc.encode.collection import encode_aliases, encode_cluster, encode_info
from qdrantlite.wire.pb import collections as pb


def get(engine: Engine, request: pb.GetCollectionInfoRequest) -> pb.GetCollectionInfoResponse:
    """State, size and configuration."""
    info = engine.collection_info(collection_name(request.collection_name))
    return pb.GetCollectionInfoResponse(result=encode_info(info))


def list_all(engine: Engine, _request: pb.ListCollectionsRequest) -> pb.ListCollectionsResponse:
    """Names, sorted."""
    names = sorted(engine.list_collections())
    return pb.ListCollectionsResponse(collections=[pb.CollectionDescription(name=name) for name in names])


def create(engine: Engine, request: pb.CreateCollection) -> pb.CollectionOperationResponse:
    """A new collection."""
    config = decode_create(request)
    return pb.CollectionOperationResponse(result=engine.create_collection(request.collection_name, config))


def update(engine: Engine, request: pb.UpdateCollection) -> pb.CollectionOperationResponse:
    """New values for the settings given."""
    change = decode_update(request)
    return pb.CollectionOperationResponse(result=engine.update_collection(request.collection_name, change))


def delete(engine: Engine, request: pb.DeleteCollection) -> pb.CollectionOperationResponse:
    """False when there was none."""
    check_timeout(request)
    return pb.CollectionOperationResponse(result=engine.delete_collection(collection_name(request.collection_name)))


def update_aliases(engine: Engine, request: pb.ChangeAliases) -> pb.CollectionOperationResponse:
    """Actions in order."""
    return pb.CollectionOperationResponse(result=engine.update_aliases(decode_alias_actions(request)))


def list_collection_aliases(engine: Engine, request: pb.ListCollectionAliasesRequest) -> pb.ListAliasesResponse:
    """Aliases of one collection."""
    return encode_aliases(engine.collection_aliases(collection_name(request.collection_name)))


def list_aliases(engine: Engine, _request: pb.ListAliasesRequest) -> pb.ListAliasesResponse:
    """All aliases."""
    return encode_aliases(engine.aliases())


def cluster_info(engine: Engine, request: pb.CollectionClusterInfoRequest) -> pb.CollectionClusterInfoResponse:
    """Shards of a collection, all of them here."""
    return encode_cluster(engine.cluster_info(collection_name(request.collection_name)))


def exists(engine: Engine, request: pb.CollectionExistsRequest) -> pb.CollectionExistsResponse:
    """Whether the name or alias is known."""
    known = engine.collection_exists(collection_name(request.collection_name))
    return pb.CollectionExistsResponse(result=pb.CollectionExists(exists=known))


def update_cluster_setup(
    _engine: Engine, request: pb.UpdateCollectionClusterSetupRequest
) -> pb.UpdateCollectionClusterSetupResponse:
    """Only a cluster could."""
    collection_name(request.collection_name)
    check_timeout(request)
    if request.WhichOneof("operation") is None:
        raise MalformedRequest("empty operation")
    raise StandaloneMode


def create_shard_key(_engine: Engine, request: pb.CreateShardKeyRequest) -> pb.CreateShardKeyResponse:
    """Only a cluster could."""
    _require_shard_key_request(request)
    raise StandaloneMode


def delete_shard_key(_engine: Engine, request: pb.DeleteShardKeyRequest) -> pb.DeleteShardKeyResponse:
    """Only a cluster could."""
    _require_shard_key_request(request)
    raise StandaloneMode


def _require_shard_key_request(request: pb.CreateShardKeyRequest | pb.DeleteShardKeyRequest) -> None:
    collection_name(request.collection_name)
    if not request.HasField("request"):
        raise MalformedRequest("empty request")


def list_shard_keys(engine: Engine, request: pb.ListShardKeysRequest) -> pb.ListShardKeysResponse:
    """None: shards are chosen by a hash of the id."""
    engine.cluster_info(collection_name(request.collection_name))
    return pb.ListShardKeysResponse()


RPCS: Mapping[str, BriefRpc] = {
    "Get": get,
    "List": list_all,
    "Create": create,
    "Update": update,
    "Delete": delete,
    "UpdateAliases": update_aliases,
    "ListCollectionAliases": list_collection_aliases,
    "ListAliases": list_aliases,
    "CollectionClusterInfo": cluster_info,
    "CollectionExists": exists,
    "UpdateCollectionClusterSetup": update_cluster_setup,
    "CreateShardKey": create_shard_key,
    "DeleteShardKey": delete_shard_key,
    "ListShardKeys": list_shard_keys,
}
