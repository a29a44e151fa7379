"""Bytes, names and versions on disk. Knows nothing of queries, vectors' meaning or indexes.

``point_store`` is the commit, ``vector_file`` holds dense rows, ``checkpoint`` keeps what can be rebuilt,
``catalogue`` names collections, ``files`` is the one seam to the file system.
"""
