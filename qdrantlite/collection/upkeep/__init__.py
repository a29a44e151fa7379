"""Upkeep: what happens behind requests. Graphs, merges, columns and compaction."""
