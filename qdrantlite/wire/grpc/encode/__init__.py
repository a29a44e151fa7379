"""Answers to messages: one module for each family of messages."""
