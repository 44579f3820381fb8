"""Many videos: lists of jobs, and the names of the files that they make.

Others use the names below; the rest is private.
"""

from .._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__, {"SUFFIXES": "jobs", "ReadyJob": "jobs", "read_jobs": "jobs", "settle": "jobs"}
)
