"""A server that tools can ask what it offers and whether it is well."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from qdrantlite.wire.grpc.health import HealthSwitch, register_health
from qdrantlite.wire.grpc.reflection import register_reflection
from qdrantlite.wire.pb import reflection_v1, reflection_v1alpha
from qdrantlite.wire.pb.services import SERVICES

Answer = reflection_v1.ServerReflectionResponse | reflection_v1alpha.ServerReflectionResponse


@pytest.fixture
def served() -> Iterator[tuple[grpc.Channel, HealthSwitch]]:
    server = grpc.server(ThreadPoolExecutor(2))
    switch = register_health(server)
    register_reflection(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel, switch
    server.stop(None).wait()


@pytest.fixture
def channel(served: tuple[grpc.Channel, HealthSwitch]) -> grpc.Channel:
    return served[0]


def ask(channel: grpc.Channel, version: str, **question: object) -> Answer:
    """Asks one question in the messages of that version."""
    method = SERVICES[f"grpc.reflection.{version}.ServerReflection"]["ServerReflectionInfo"]
    call = channel.stream_stream(
        method.path,
        request_serializer=method.request.SerializeToString,
        response_deserializer=method.response.FromString,
    )
    (answer,) = call(iter([method.request(**question)]), timeout=5)
    assert isinstance(answer, Answer)
    assert isinstance(answer, method.response)
    return answer


def described_pool(channel: grpc.Channel, version: str, symbol: str) -> DescriptorPool:
    """Builds what the server says about a symbol into an empty pool, as a tool would."""
    answer = ask(channel, version, file_containing_symbol=symbol)
    files = [FileDescriptorProto.FromString(raw) for raw in answer.file_descriptor_response.file_descriptor_proto]
    waiting, pool = {file.name: file for file in files}, DescriptorPool()

    def add(name: str) -> None:
        if name in waiting:
            file = waiting.pop(name)
            for imported in file.dependency:
                add(imported)
            pool.AddSerializedFile(file.SerializeToString())

    for file in files:
        add(file.name)
    return pool


VERSIONS = pytest.mark.parametrize("version", ["v1", "v1alpha"])


@VERSIONS
def test_reflection_lists_every_service(channel: grpc.Channel, version: str) -> None:
    answer = ask(channel, version, list_services="")
    assert {service.name for service in answer.list_services_response.service} == SERVICES.keys()


@VERSIONS
@pytest.mark.parametrize("service", sorted(SERVICES))
def test_reflection_describes_each_service_completely(channel: grpc.Channel, version: str, service: str) -> None:
    pool = described_pool(channel, version, service)
    described = pool.FindServiceByName(service)
    assert [method.name for method in described.methods] == list(SERVICES[service])
    for method in described.methods:
        ours = SERVICES[service][method.name]
        assert method.input_type.full_name == ours.request.DESCRIPTOR.full_name
        assert set(method.output_type.fields_by_name) == set(ours.response.DESCRIPTOR.fields_by_name)


@VERSIONS
def test_described_messages_suffice_to_speak(channel: grpc.Channel, version: str) -> None:
    query = described_pool(channel, version, "qdrant.QueryPoints").FindMessageTypeByName("qdrant.QueryPoints")
    sent = GetMessageClass(query)(collection_name="books", limit=3)
    ours = SERVICES["qdrant.Points"]["Query"].request.FromString(sent.SerializeToString())
    assert str(ours) == str(sent)


@VERSIONS
def test_unknown_symbol_is_not_found(channel: grpc.Channel, version: str) -> None:
    answer = ask(channel, version, file_containing_symbol="qdrant.NoSuchThing")
    assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


@VERSIONS
@pytest.mark.parametrize("symbol", ["qdrant.Points.Upsert", "qdrant.PointsUpdateOperation.SetPayload", "qdrant.Fusion"])
def test_symbols_of_all_kinds_are_found(channel: grpc.Channel, version: str, symbol: str) -> None:
    files = ask(channel, version, file_containing_symbol=symbol).file_descriptor_response.file_descriptor_proto
    assert FileDescriptorProto.FromString(files[0]).package == "qdrant"


@VERSIONS
def test_file_is_found_by_name(channel: grpc.Channel, version: str) -> None:
    files = ask(channel, version, file_by_filename="json_with_int.proto").file_descriptor_response.file_descriptor_proto
    assert [FileDescriptorProto.FromString(file).name for file in files] == ["json_with_int.proto"]


@VERSIONS
def test_answer_repeats_the_question(channel: grpc.Channel, version: str) -> None:
    answer = ask(channel, version, host="here", file_by_filename="none.proto")
    assert answer.valid_host == answer.original_request.host == "here"
    assert answer.original_request.file_by_filename == "none.proto"
    assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


def test_no_message_has_extensions(channel: grpc.Channel) -> None:
    answer = ask(channel, "v1", all_extension_numbers_of_type="qdrant.Filter")
    assert answer.all_extension_numbers_response.base_type_name == "qdrant.Filter"
    assert not answer.all_extension_numbers_response.extension_number
    extension = {"containing_type": "qdrant.Filter", "extension_number": 100}
    refused = ask(channel, "v1", file_containing_extension=extension)
    assert refused.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


def test_question_without_content_is_refused(channel: grpc.Channel) -> None:
    assert ask(channel, "v1").error_response.error_code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def test_reflection_answers_the_database_of_grpcio(channel: grpc.Channel) -> None:
    database = ProtoReflectionDescriptorDatabase(channel)
    assert set(database.get_services()) == SERVICES.keys()
    query = DescriptorPool(database).FindMessageTypeByName("qdrant.QueryPoints")
    assert query.fields_by_name["limit"].number == 8


@pytest.mark.parametrize("service", ["", "qdrant.Points", "of.nobody"])
def test_health_is_serving_for_any_service(channel: grpc.Channel, service: str) -> None:
    answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_health_is_not_serving_once_switched_off(served: tuple[grpc.Channel, HealthSwitch]) -> None:
    channel, switch = served
    switch.serving = False
    answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
    assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING


def test_watch_is_unimplemented(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        next(health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=5))
    assert failure.value.code() == grpc.StatusCode.UNIMPLEMENTED
