"""Reading: a request meets one state of the shard, is bound and planned, and its page is read."""
