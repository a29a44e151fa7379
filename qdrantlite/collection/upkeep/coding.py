"""Which codes the quantization settings mean. Pure."""

from typing import assert_never

from qdrantlite.segment.sealed import Coding
from qdrantlite.segment.vector_index.quantized import QUERY_BITS, BitCodes, CodeKind, ProductCodes, ScalarCodes
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.schema import (
    BinaryEncoding,
    BinaryQuantization,
    BinaryQueryEncoding,
    CollectionConfig,
    Compression,
    Memory,
    ProductQuantization,
    Quantization,
    ScalarQuantization,
    TurboBits,
    TurboQuantization,
    VectorParams,
)

RATIOS = {Compression.X4: 4, Compression.X8: 8, Compression.X16: 16, Compression.X32: 32, Compression.X64: 64}
BINARY_BITS = {BinaryEncoding.ONE_BIT: 1, BinaryEncoding.ONE_AND_HALF_BITS: 2, BinaryEncoding.TWO_BITS: 2}
BINARY_QUERY_BITS = {
    BinaryQueryEncoding.DEFAULT: QUERY_BITS,
    BinaryQueryEncoding.BINARY: 1,
    BinaryQueryEncoding.SCALAR4BITS: 4,
    BinaryQueryEncoding.SCALAR8BITS: 8,
}
TURBO_BITS = {
    TurboBits.BITS1: 1,
    TurboBits.BITS1_5: 2,
    TurboBits.BITS2: 2,
    TurboBits.BITS4: 4,
    TurboBits.BITS8: 8,
}
"""A code takes whole bits, so that one and a half become two: larger than asked for, and better."""


def coding_of(config: CollectionConfig, vector: VectorParams) -> Coding | None:
    """The codes wanted for one vector: its own settings, else the collection's; None = none.

    Manhattan has no codes, and rows of bytes gain nothing from codes of bytes.
    """
    settings = vector.quantization_config or config.quantization_config
    if settings is None or vector.distance is Distance.MANHATTAN:
        return None
    kind = code_kind(settings)
    if isinstance(kind, ScalarCodes) and vector.datatype is Datatype.UINT8:
        return None
    in_memory = settings.memory is Memory.PINNED if settings.memory is not None else bool(settings.always_ram)
    return Coding(kind, in_memory, _query_bits(settings, kind))


def _query_bits(settings: Quantization, kind: CodeKind) -> int:
    """Bits of a query's component: only single bits meet a query that is rounded, see ``quantized``."""
    if kind != BitCodes(1) or not isinstance(settings, BinaryQuantization):
        return QUERY_BITS
    return BINARY_QUERY_BITS[settings.query_encoding or BinaryQueryEncoding.DEFAULT]


def code_kind(settings: Quantization) -> CodeKind:
    """The codes that settings describe."""
    match settings:
        case ScalarQuantization():
            return ScalarCodes(settings.quantile)
        case ProductQuantization():
            return ProductCodes(RATIOS[settings.compression])
        case BinaryQuantization():
            return BitCodes(BINARY_BITS[settings.encoding or BinaryEncoding.ONE_BIT])
        case TurboQuantization():
            return BitCodes(TURBO_BITS[settings.bits or TurboBits.BITS4])
        case _:
            assert_never(settings)
