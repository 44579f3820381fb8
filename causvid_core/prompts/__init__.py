"""Prompt schedules: their text, their layout over blocks, and the mixing of embeddings."""
