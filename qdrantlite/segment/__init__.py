"""Vector segments, payload indexes and filters over them. The only home of faiss and pyroaring. Never knows plans."""
