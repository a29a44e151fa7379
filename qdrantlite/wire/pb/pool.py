"""The private descriptor pool: every message of the contract, built from the compiled descriptors at import.

Why private: the default pool takes a symbol once, and any qdrant-client in this process puts ``qdrant.*`` there.
Why built here: modules that protoc generates refuse a protobuf runtime older than their compiler, descriptors do not.

Classes of this pool and classes of another do not mix in one message; bytes pass freely between them.
"""

from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message_factory import GetMessageClass


def load_descriptors() -> tuple[DescriptorPool, tuple[str, ...]]:
    """Fills a new pool; returns it with the names of its files, each after those that it imports."""
    descriptors = FileDescriptorSet.FromString(Path(__file__).with_name("descriptors.binpb").read_bytes())
    pool = DescriptorPool()
    for file in descriptors.file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool, tuple(file.name for file in descriptors.file)


POOL, FILE_NAMES = load_descriptors()


def file_descriptors() -> Iterator[FileDescriptor]:
    """Every file in the pool."""
    return map(POOL.FindFileByName, FILE_NAMES)


def names_in(proto: str) -> dict[str, object]:
    """What a module generated from the file would define: ``DESCRIPTOR``, message classes, enums and their values.

    Raises:
        KeyError: no such file in the pool.
    """
    file = POOL.FindFileByName(proto)
    names: dict[str, object] = {"DESCRIPTOR": file}
    names.update((name, GetMessageClass(message)) for name, message in file.message_types_by_name.items())
    for name, enum in file.enum_types_by_name.items():
        names[name] = EnumTypeWrapper(enum)
        names.update((value.name, value.number) for value in enum.values)
    return names
