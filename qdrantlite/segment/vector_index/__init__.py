"""Ways to find the nearest stored rows: exactly, along a graph, over quantised codes. Arrays in, arrays out."""
