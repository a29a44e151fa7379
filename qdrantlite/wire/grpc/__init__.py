"""Qdrant's gRPC API: one ``decode_*`` or ``encode_*`` module per message family, one table of RPCs per service.

``server`` serves them, ``dispatch`` wraps every call: decode, ask the engine, encode; errors become codes there alone.
It never imports ``rest``.
"""
