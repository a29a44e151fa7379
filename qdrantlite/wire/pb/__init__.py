"""The contract's messages, one module for each file of ``protos/``.

    from qdrantlite.wire.pb import collections, points as pb
    pb.QueryPoints(collection_name="books", query=pb.Query(fusion=pb.Fusion.RRF))

``pool`` builds the classes, ``services`` tables the RPCs, ``timestamp`` has this pool's ``google.protobuf.Timestamp``.
All other modules, the stubs and ``descriptors.binpb`` are made by ``make proto``: edit ``protos/`` instead.

Enum values are plain ``int`` at run time. One whose name is a keyword is reached by name:
``collections.Modifier.Value("None")``.
"""
