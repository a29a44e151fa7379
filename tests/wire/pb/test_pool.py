"""The private pool beside other people's classes, old runtimes, and its own stubs."""

import ast
import importlib
import keyword
import subprocess
import sys
import venv
from pathlib import Path
from types import ModuleType

import pytest
from google.protobuf import timestamp_pb2
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message

import qdrantlite
from qdrantlite.wire.pb import collections, json_with_int, points, timestamp
from qdrantlite.wire.pb.pool import file_descriptors
from qdrantlite.wire.pb.services import SERVICES

ROOT = Path(qdrantlite.__path__[0]).parent
STUBS = sorted((ROOT / "qdrantlite" / "wire" / "pb").glob("*.pyi"))

OURS = "from qdrantlite.wire.pb import points as ours"
THEIRS = "from qdrant_client import grpc as theirs"

ROUND_TRIP = """
sent = ours.QueryPoints(collection_name="books", limit=2**40, query=ours.Query(fusion=ours.Fusion.DBSF))
read = theirs.QueryPoints.FromString(sent.SerializeToString())
assert read.query.fusion == theirs.Fusion.DBSF and read.limit == 2**40 and read.HasField("limit")
answer = theirs.ScoredPoint(id=theirs.PointId(num=2**63), score=0.5, payload={"n": theirs.Value(integer_value=-1)})
back = ours.ScoredPoint.FromString(answer.SerializeToString())
assert back.id.num == 2**63 and back.payload["n"].integer_value == -1 and back.score == 0.5
assert type(back) is not type(answer) and type(back).DESCRIPTOR.file.pool is not type(answer).DESCRIPTOR.file.pool
"""

OLD_RUNTIME = """
from concurrent.futures import ThreadPoolExecutor
import google.protobuf, grpc
from qdrantlite.wire.grpc.health import register_health
from qdrantlite.wire.grpc.reflection import register_reflection
from qdrantlite.wire.pb import collections, json_with_int, points, reflection_v1, timestamp
from qdrantlite.wire.pb.services import SERVICES

assert google.protobuf.__version__ == "5.26.1"
sent = points.ScoredPoint(score=0.5, payload={"n": json_with_int.Value(integer_value=-1)})
assert points.ScoredPoint.FromString(sent.SerializeToString()) == sent
assert collections.Distance.Cosine == 1 and len(SERVICES["qdrant.Points"]) == 30
info = collections.CollectionInfo()
info.created_at.FromSeconds(3)
assert info.created_at == timestamp.Timestamp(seconds=3)

server = grpc.server(ThreadPoolExecutor(2))
register_health(server)
register_reflection(server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
    method = SERVICES["grpc.reflection.v1.ServerReflection"]["ServerReflectionInfo"]
    call = channel.stream_stream(method.path, method.request.SerializeToString, method.response.FromString)
    asked = [method.request(list_services=""), method.request(file_containing_symbol="qdrant.Points.Upsert")]
    services, described = call(iter(asked), timeout=5)
    assert len(services.list_services_response.service) == len(SERVICES)
    assert len(described.file_descriptor_response.file_descriptor_proto) == 6
server.stop(None).wait()
print("works")
"""


def run(python: str, code: str) -> str:
    """Runs the code in another process with the warnings of this one; returns what it prints."""
    command = [python, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("imports", [(OURS, THEIRS), (THEIRS, OURS)], ids=["ours_first", "client_first"])
def test_client_lives_in_the_same_process(imports: tuple[str, str]) -> None:
    run(sys.executable, "\n".join([*imports, ROUND_TRIP]))


def test_import_brings_neither_grpc_nor_the_client() -> None:
    code = "from qdrantlite.wire.pb import points, services; import sys; print(*sys.modules)"
    loaded = {name.partition(".")[0] for name in run(sys.executable, code).split()}
    assert loaded.isdisjoint({"grpc", "qdrant_client", "numpy"})


def test_timestamp_belongs_to_the_private_pool_and_knows_dates() -> None:
    info = collections.CollectionInfo(created_at=timestamp.Timestamp(seconds=86_400))
    assert info.created_at.ToDatetime().isoformat() == "1970-01-02T00:00:00"
    assert type(info.created_at).DESCRIPTOR.file.pool is not timestamp_pb2.Timestamp.DESCRIPTOR.file.pool


def test_enum_values_are_reached_as_generated_code_offers_them() -> None:
    assert points.Fusion.DBSF == points.DBSF == 1
    assert points.Fusion.Name(points.DBSF) == "DBSF"
    assert collections.Modifier.Value("None") == 0
    assert collections.MaxOptimizationThreads.Setting.Auto == 0
    assert json_with_int.NULL_VALUE == 0


def test_value_unknown_to_an_enum_survives() -> None:
    vector = collections.VectorParams.FromString(
        collections.VectorParams(datatype=collections.Turbo16).SerializeToString()
    )
    assert vector.datatype == collections.Datatype.Turbo16
    later = collections.VectorParams.FromString(b"\x30\x63")
    assert later.datatype == 99
    assert 99 not in collections.Datatype.values()


def public_names(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    """Names that the stub declares, without its typing aids, which do not exist at run time."""
    named = {node.name: node for node in body if isinstance(node, ast.ClassDef)}
    annotated = {
        node.target.id: node for node in body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    found: dict[str, ast.stmt] = {**named, **annotated}
    return {name: node for name, node in found.items() if not name.startswith(("_", "Global___"))}


def assert_class_matches(stub: ast.ClassDef, runtime: type[Message] | EnumTypeWrapper) -> None:
    """Compares fields, nested messages and nested enums of a stub's class with those of the runtime class."""
    if isinstance(runtime, EnumTypeWrapper):
        return
    descriptor, message = runtime.DESCRIPTOR, runtime()
    accessors = {node.name for node in stub.body if isinstance(node, ast.FunctionDef)}
    declared = public_names(stub.body)
    fields = {name for name in descriptor.fields_by_name if not keyword.iskeyword(name)}
    assert (declared.keys() | accessors) & set(descriptor.fields_by_name) == fields, descriptor.full_name
    for name, node in declared.items():
        assert hasattr(message, name), f"{descriptor.full_name}.{name}"
        if isinstance(node, ast.ClassDef):
            assert_class_matches(node, getattr(runtime, name))
    nested = {*descriptor.nested_types_by_name, *descriptor.enum_types_by_name}
    assert nested == {name for name, node in declared.items() if isinstance(node, ast.ClassDef)}


def public_runtime_names(module: ModuleType) -> set[str]:
    return {
        name
        for name in vars(module)
        if name.isidentifier() and not name.startswith("_") and name != "names_in" and not keyword.iskeyword(name)
    }


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: path.stem)
def test_stub_declares_exactly_what_exists(stub: Path) -> None:
    module = importlib.import_module(f"qdrantlite.wire.pb.{stub.stem}")
    declared = public_names(ast.parse(stub.read_text(encoding="utf-8")).body)
    assert declared.keys() == public_runtime_names(module)
    for name, node in declared.items():
        if isinstance(node, ast.ClassDef):
            assert_class_matches(node, getattr(module, name))


def test_every_file_of_the_pool_has_a_stub() -> None:
    assert len(STUBS) == len(list(file_descriptors())) == 12


def test_services_hold_classes_that_decode_and_encode() -> None:
    upsert = SERVICES["qdrant.Points"]["Upsert"]
    assert upsert.request is points.UpsertPoints
    assert upsert.response is points.PointsOperationResponse
    assert upsert.path == "/qdrant.Points/Upsert"
    assert not upsert.request_streams
    assert not upsert.response_streams
    reflect = SERVICES["grpc.reflection.v1.ServerReflection"]["ServerReflectionInfo"]
    assert reflect.request_streams
    assert reflect.response_streams


@pytest.mark.slow
def test_oldest_supported_runtime_builds_the_same_messages(tmp_path: Path) -> None:
    venv.create(tmp_path, with_pip=True)
    python = str(tmp_path / ("Scripts" if sys.platform == "win32" else "bin") / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "protobuf==5.26.1", "grpcio"], check=True, timeout=300)
    assert run(python, OLD_RUNTIME) == "works\n"
