"""Station 4: runs a plan over one frozen view of a shard. Offsets and scores in arrays; no collection, no files."""
