"""The contract is what the official client knows: nothing less, nothing more."""

import pytest
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from qdrant_client import grpc as client

from qdrantlite.wire.pb.pool import POOL, file_descriptors
from qdrantlite.wire.pb.services import SERVICES

CLIENT_POOL = client.Filter.DESCRIPTOR.file.pool
ENTRY = "qdrant.proto"

Facts = dict[str, object]
"""What there is to know of each element, by its full name."""


def facts_of_field(field: FieldDescriptorProto, message: DescriptorProto) -> tuple[object, ...]:
    oneof = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else None
    options = field.options.SerializeToString(deterministic=True)
    return field.number, field.type, field.type_name, field.label, oneof, field.proto3_optional, options


def members_of(oneof: int, message: DescriptorProto) -> set[str]:
    return {field.name for field in message.field if field.HasField("oneof_index") and field.oneof_index == oneof}


def facts_of_enum(enum: EnumDescriptorProto, scope: str) -> Facts:
    values = {f"{scope}.{enum.name}.{value.name}": value.number for value in enum.value}
    return {f"{scope}.{enum.name}": ("enum", enum.options.SerializeToString()), **values}


def facts_of_message(message: DescriptorProto, scope: str) -> Facts:
    name = f"{scope}.{message.name}"
    reserved = {(span.start, span.end) for span in message.reserved_range}
    facts: Facts = {name: ("message", reserved, set(message.reserved_name), message.options.SerializeToString())}
    facts |= {f"{name}.{field.name}": facts_of_field(field, message) for field in message.field}
    facts |= {
        f"{name}.{oneof.name} (oneof)": members_of(index, message) for index, oneof in enumerate(message.oneof_decl)
    }
    for enum in message.enum_type:
        facts |= facts_of_enum(enum, name)
    for nested in message.nested_type:
        facts |= facts_of_message(nested, name)
    return facts


def facts_of_file(descriptor: FileDescriptor) -> Facts:
    file = FileDescriptorProto()
    descriptor.CopyToProto(file)
    facts: Facts = {file.name: (file.package, file.syntax, set(file.dependency))}
    for enum in file.enum_type:
        facts |= facts_of_enum(enum, file.package)
    for message in file.message_type:
        facts |= facts_of_message(message, file.package)
    for service in file.service:
        for method in service.method:
            streams = (method.client_streaming, method.server_streaming)
            facts[f"{file.package}.{service.name}.{method.name}"] = (
                method.input_type,
                method.output_type,
                streams,
                method.options.SerializeToString(),
            )
    return facts


def files_below(file: FileDescriptor) -> dict[str, FileDescriptor]:
    """The file and all that it imports, by name."""
    found = {file.name: file}
    for imported in file.dependencies:
        found |= files_below(imported)
    return found


OURS = {name: file for name, file in files_below(POOL.FindFileByName(ENTRY)).items() if file.package == "qdrant"}
THEIRS = {
    name: file for name, file in files_below(CLIENT_POOL.FindFileByName(ENTRY)).items() if file.package == "qdrant"
}


def test_files_are_those_of_the_client() -> None:
    assert OURS.keys() == THEIRS.keys()
    assert OURS.keys() == {file.name for file in file_descriptors() if file.package == "qdrant"}


@pytest.mark.parametrize("name", sorted(THEIRS))
def test_every_element_equals_that_of_the_client(name: str) -> None:
    ours, theirs = facts_of_file(OURS[name]), facts_of_file(THEIRS[name])
    assert sorted(theirs.keys() - ours.keys()) == [], "missing here"
    assert sorted(ours.keys() - theirs.keys()) == [], "unknown to the client"
    assert {key: (ours[key], theirs[key]) for key in ours if ours[key] != theirs[key]} == {}


def test_comparison_sees_the_whole_contract() -> None:
    facts = {key: value for file in OURS.values() for key, value in facts_of_file(file).items()}
    assert facts["qdrant.QueryPoints.limit"] != facts["qdrant.QueryPoints.offset"]
    assert facts["qdrant.Distance.Cosine"] == 1
    assert "qdrant.Points.QueryBatch" in facts
    assert len(facts) > 1500


def test_services_offer_as_many_methods_as_the_client_knows() -> None:
    counts = {name: len(methods) for name, methods in SERVICES.items()}
    assert counts == {
        "qdrant.Points": 30,
        "qdrant.Collections": 14,
        "qdrant.Snapshots": 6,
        "qdrant.Qdrant": 1,
        "grpc.health.v1.Health": 2,
        "grpc.reflection.v1.ServerReflection": 1,
        "grpc.reflection.v1alpha.ServerReflection": 1,
    }
