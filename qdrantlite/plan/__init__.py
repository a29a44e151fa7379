"""Station 5: from a bound search to a tree of nodes. Pure: no segment, no storage, no clock, no I/O."""
