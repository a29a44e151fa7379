"""The description of the REST API: OpenAPI 3.1, made of the table of routes and of schemas written by us, under the
names that Qdrant gives them. Served as ``/openapi.json`` and shown by ``/docs``.
"""
