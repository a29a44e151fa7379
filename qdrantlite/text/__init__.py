"""Text into tokens, and tokens into BM25 weights: pure functions over strings and arrays.

``parameters`` says how a text is to be read, ``splitting`` cuts it into pieces, ``tokenizer`` turns pieces into tokens,
``bm25`` turns tokens into sparse vectors. Nothing here knows of collections, queries, files of a storage, or the wire.
"""
