"""Job lists from the input folder."""

from ...causvid_core.jobs import SUFFIXES, ReadyJob, read_jobs, settle
from .folders import file_identity
from .stream_files import check_prefix, input_names, input_path

KIND = "job list"


def list_names() -> list[str]:
    """Files in the input folder that may be job lists."""
    return input_names(SUFFIXES)


def list_identity(name: str) -> str:
    """Changes when the file does; empty when it is not there."""
    try:
        return file_identity(input_path(name, KIND))
    except (OSError, ValueError):
        return ""


def jobs_of(
    name: str, pattern: str, seed: int, seed_step: int, seconds: float, first: int, count: int
) -> list[ReadyJob]:
    """Jobs `first` to `first + count - 1` of a list, counted from 1; count 0: all from `first`.

    The whole list is checked, whatever part of it is asked for. Raises ValueError or
    FileNotFoundError in a sentence.
    """
    listed = read_jobs(input_path(name, KIND))
    jobs = settle(listed, pattern, seed=seed, seed_step=seed_step, seconds=seconds)
    for job in jobs:
        check_prefix(job.filename_prefix)
    if first > len(jobs):
        raise ValueError(f"{name} has {len(jobs)} jobs, so there is none to begin with {first}.")
    return jobs[first - 1 : first - 1 + count if count else None]
