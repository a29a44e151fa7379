"""Writing: requests become transactions, gathered and committed; settings and indexes change."""
