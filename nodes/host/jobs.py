"""Job lists from the input folder, and one that comes with the pack."""

from pathlib import Path

from ...causvid_core import mini
from ...causvid_core.farm.jobs import SUFFIXES, ReadyJob, read_jobs, settle
from .loading.folders import file_identity
from .stream.stream_files import check_prefix, input_names, input_path

KIND = "job list"
EXAMPLE = "example of the pack"  # offered behind the artist's own files, so that it always runs


def list_names() -> list[str]:
    """Files in the input folder that may be job lists, and the pack's example."""
    return [*input_names(SUFFIXES), EXAMPLE]


def list_identity(name: str) -> str:
    """Changes when the file does; empty when it is not there."""
    try:
        return file_identity(_path(name))
    except (OSError, ValueError):
        return ""


def jobs_of(
    name: str, pattern: str, seed: int, seed_step: int, seconds: float, first: int, count: int
) -> list[ReadyJob]:
    """Jobs `first` to `first + count - 1` of a list, counted from 1; count 0: all from `first`.

    The whole list is checked, whatever part of it is asked for. Raises ValueError or
    FileNotFoundError in a sentence.
    """
    listed = read_jobs(_path(name))
    jobs = settle(listed, pattern, seed=seed, seed_step=seed_step, seconds=seconds)
    for job in jobs:
        check_prefix(job.filename_prefix)
    if first > len(jobs):
        raise ValueError(f"{name} has {len(jobs)} jobs, so there is none to begin with {first}.")
    return jobs[first - 1 : first - 1 + count if count else None]


def _path(name: str) -> Path:
    return mini.example_jobs_path() if name == EXAMPLE else input_path(name, KIND)
