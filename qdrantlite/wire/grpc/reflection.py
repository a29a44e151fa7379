"""gRPC reflection, v1 and v1alpha: tools such as grpcurl ask the server what it offers and need no .proto files.

Answers come from the private pool, which has no extensions. The two versions differ in their package alone, so the
messages of v1, which are the same bytes, serve both.

Not grpcio-reflection: its generated module refuses the older protobuf runtimes that the private pool works with.
"""

from collections.abc import Iterable, Iterator

import grpc
from google.protobuf.descriptor import FileDescriptor

from qdrantlite.wire.pb import reflection_v1 as pb
from qdrantlite.wire.pb.pool import POOL
from qdrantlite.wire.pb.services import SERVICES

VERSIONS = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


def file_of(symbol: str) -> FileDescriptor:
    """Finds what defines a message, enum, service or method; the pool itself does not know methods by name."""
    service, _, method = symbol.rpartition(".")
    return POOL.FindFileContainingSymbol(service if method in SERVICES.get(service, ()) else symbol)


def with_imports(file: FileDescriptor, seen: dict[str, bytes]) -> dict[str, bytes]:
    """Adds the file, then all that it imports, to ``seen``: name to serialized descriptor; returns ``seen``."""
    if file.name not in seen:
        seen[file.name] = file.serialized_pb
        for imported in file.dependencies:
            with_imports(imported, seen)
    return seen


def describe(file: FileDescriptor) -> pb.ServerReflectionResponse:
    """A file and all it imports, as the answer to a question for it."""
    descriptors = pb.FileDescriptorResponse(file_descriptor_proto=with_imports(file, {}).values())
    return pb.ServerReflectionResponse(file_descriptor_response=descriptors)


def refuse(code: grpc.StatusCode, text: str) -> pb.ServerReflectionResponse:
    """An error as the protocol carries it, inside a response."""
    return pb.ServerReflectionResponse(error_response=pb.ErrorResponse(error_code=code.value[0], error_message=text))


def find(question: pb.ServerReflectionRequest) -> pb.ServerReflectionResponse:
    """Raises: KeyError with the name of what the pool does not know."""
    match question.WhichOneof("message_request"):
        case "list_services":
            services = [pb.ServiceResponse(name=name) for name in sorted(SERVICES)]
            return pb.ServerReflectionResponse(list_services_response=pb.ListServiceResponse(service=services))
        case "file_by_filename":
            return describe(POOL.FindFileByName(question.file_by_filename))
        case "file_containing_symbol":
            return describe(file_of(question.file_containing_symbol))
        case "file_containing_extension":
            raise KeyError(question.file_containing_extension.containing_type)
        case "all_extension_numbers_of_type":
            message = POOL.FindMessageTypeByName(question.all_extension_numbers_of_type)
            numbers = pb.ExtensionNumberResponse(base_type_name=message.full_name)
            return pb.ServerReflectionResponse(all_extension_numbers_response=numbers)
        case None:
            return refuse(grpc.StatusCode.INVALID_ARGUMENT, "the request holds no question")


def reflect(
    questions: Iterable[pb.ServerReflectionRequest], _context: grpc.ServicerContext
) -> Iterator[pb.ServerReflectionResponse]:
    """Answers question after question; one that cannot be answered does not end the stream."""
    for question in questions:
        try:
            answer = find(question)
        except KeyError as unknown:
            answer = refuse(grpc.StatusCode.NOT_FOUND, f"not found: {unknown.args[0]}")
        answer.valid_host = question.host
        answer.original_request.CopyFrom(question)
        yield answer


def register_reflection(server: grpc.Server) -> None:
    """Adds both versions to a server that has not started; they list every service of the contract."""
    handler = grpc.stream_stream_rpc_method_handler(
        reflect,
        request_deserializer=pb.ServerReflectionRequest.FromString,
        response_serializer=pb.ServerReflectionResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        tuple(grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": handler}) for name in VERSIONS)
    )
