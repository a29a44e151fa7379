"""Cargo: what a request and a row are made of. Knows errors only."""
