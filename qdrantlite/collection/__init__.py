"""Station: one collection. Binds searches to frozen state, applies writes as transactions, recovers, optimizes."""
