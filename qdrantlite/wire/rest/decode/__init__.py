"""JSON bodies to the values of ``query`` and ``values``: one module for each family of requests."""
