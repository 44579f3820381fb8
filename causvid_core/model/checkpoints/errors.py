"""The one error of this package."""

from __future__ import annotations


class CheckpointError(ValueError):
    """A file that cannot be used; the message is one sentence for an artist."""
