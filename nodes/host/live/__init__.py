"""Frames shown in the browser while they are made."""
