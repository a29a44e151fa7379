"""What the engine returns, as values that orjson writes: one module for each family of answers."""
