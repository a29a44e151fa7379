"""Messages to values of ``query``: one module for each family of messages."""
