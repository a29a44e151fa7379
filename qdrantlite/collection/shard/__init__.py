"""The shard and its state: what a commit changes, a checkpoint writes and opening brings back."""
