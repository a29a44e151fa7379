"""Cargo: what is asked. Filters, searches and write operations as immutable trees; no station, no protobuf, no JSON
text.
"""
