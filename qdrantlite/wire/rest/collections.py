"""Routes of collections, their aliases and what a cluster would do: decode, ask the engine, encode."""

from typing import NoReturn

from qdrantlite.errors import MalformedRequest, StandaloneMode
from qdrantlite.wire.call_pools import CallKind
from qdrantlite.wire.engine import Engine
from qdrantlite.wire.rest.call import Call
from qdrantlite.wire.rest.decode.collection import decode_alias_actions, decode_create, decode_update
from qdrantlite.wire.rest.encode.answer import Answer
from qdrantlite.wire.rest.encode.collection import (
    encode_aliases,
    encode_cluster,
    encode_info,
    encode_names,
    encode_optimizations,
)
from qdrantlite.wire.rest.reading import fields
from qdrantlite.wire.rest.routes import COLLECTION, TIMED, Route

_DETAILS = ("queued", "completed", "idle_segments")
COMPLETED_DEFAULT = 16


def list_all(engine: Engine, _call: Call) -> Answer:
    """Names, sorted."""
    return encode_names(engine.list_collections())


def get(engine: Engine, call: Call) -> Answer:
    """State, size and configuration."""
    return encode_info(engine.collection_info(call.collection))


def create(engine: Engine, call: Call) -> Answer:
    """A new collection."""
    name, config = call.new_collection, call.body(decode_create)
    call.check_timeout()
    return engine.create_collection(name, config)


def update(engine: Engine, call: Call) -> Answer:
    """New values for the settings given."""
    name, change = call.collection, call.body(decode_update)
    call.check_timeout()
    return engine.update_collection(name, change)


def delete(engine: Engine, call: Call) -> Answer:
    """False when there was none."""
    name = call.collection
    call.check_timeout()
    return engine.delete_collection(name)


def exists(engine: Engine, call: Call) -> Answer:
    """Whether the name or alias is known."""
    return {"exists": engine.collection_exists(call.collection)}


def update_aliases(engine: Engine, call: Call) -> Answer:
    """Actions in order."""
    actions = call.body(decode_alias_actions)
    call.check_timeout()
    return engine.update_aliases(actions)


def list_aliases(engine: Engine, _call: Call) -> Answer:
    """All aliases."""
    return encode_aliases(engine.aliases())


def list_collection_aliases(engine: Engine, call: Call) -> Answer:
    """Aliases of one collection."""
    return encode_aliases(engine.collection_aliases(call.collection))


def cluster_info(engine: Engine, call: Call) -> Answer:
    """Shards of a collection, all of them here."""
    return encode_cluster(engine.cluster_info(call.collection))


def list_shard_keys(engine: Engine, call: Call) -> Answer:
    """None: shards are chosen by a hash of the id."""
    engine.cluster_info(call.collection)
    return {}


def optimizations(engine: Engine, call: Call) -> Answer:
    """What is done behind searches."""
    details = [name for name in call.parameters.get("with", "").split(",") if name]
    for name in details:
        if name not in _DETAILS:
            expected = ", ".join(f"`{known}`" for known in _DETAILS)
            text = f"Deserialize error in query parameters: unknown variant `{name}`, expected one of {expected}"
            raise MalformedRequest(text)
    told = engine.collection_info(call.collection).optimizations
    return encode_optimizations(told, details, call.count("completed_limit", COMPLETED_DEFAULT))


def only_a_cluster_could(_engine: Engine, call: Call) -> NoReturn:
    """Changes of shards and peers."""
    if "collection_name" in call.arguments:
        assert call.collection
    if call.content:
        call.body(fields)
    call.check_timeout()
    raise StandaloneMode


def cluster_status(_engine: Engine, _call: Call) -> Answer:
    """A single node."""
    return {"status": "disabled"}


ROUTES = (
    Route("GET", "/collections", list_all, "CollectionsResponse"),
    Route("GET", COLLECTION, get, "CollectionInfo"),
    Route("PUT", COLLECTION, create, "boolean", "CreateCollection", TIMED, CallKind.CHANGE),
    Route("PATCH", COLLECTION, update, "boolean", "UpdateCollection", TIMED, CallKind.CHANGE),
    Route("DELETE", COLLECTION, delete, "boolean", None, TIMED, CallKind.CHANGE),
    Route("GET", COLLECTION + "/exists", exists, "CollectionExistence"),
    Route(
        "GET", COLLECTION + "/optimizations", optimizations, "OptimizationsResponse", None, ("with", "completed_limit")
    ),
    Route("GET", COLLECTION + "/aliases", list_collection_aliases, "CollectionsAliasesResponse"),
    Route("POST", "/collections/aliases", update_aliases, "boolean", "ChangeAliasesOperation", TIMED),
    Route("GET", "/aliases", list_aliases, "CollectionsAliasesResponse"),
    Route("GET", COLLECTION + "/cluster", cluster_info, "CollectionClusterInfo"),
    Route("POST", COLLECTION + "/cluster", only_a_cluster_could, "boolean", "ClusterOperations", TIMED),
    Route("GET", COLLECTION + "/shards", list_shard_keys, "ShardKeysResponse"),
    Route("PUT", COLLECTION + "/shards", only_a_cluster_could, "boolean", "CreateShardingKey", TIMED),
    Route("POST", COLLECTION + "/shards/delete", only_a_cluster_could, "boolean", "DropShardingKey", TIMED),
    Route("GET", "/cluster", cluster_status, "ClusterStatus"),
    Route("GET", "/cluster/telemetry", only_a_cluster_could, "DistributedTelemetryData"),
    Route("POST", "/cluster/recover", only_a_cluster_could, "boolean"),
    Route("DELETE", "/cluster/peer/{peer_id}", only_a_cluster_could, "boolean", None, TIMED),
)
