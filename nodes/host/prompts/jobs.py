"""Job lists from the input folder, and one that comes with the pack."""

from pathlib import Path

from ....causvid_core.farm import SUFFIXES, ReadyJob, read_jobs, settle
from ....causvid_core.mini import example_jobs_path
from ..files import check_prefix, file_identity, input_names, input_path
from ..messages import message

EXAMPLE = "example of the pack"  # offered behind the artist's own files, so that it always runs
PATTERN = "batch/{index:03}_{prompt_slug}_{seed}"


def list_names() -> list[str]:
    """Files in the input folder that may be job lists, and the pack's example."""
    return [*input_names(SUFFIXES), EXAMPLE]


def list_identity(name: str | None) -> str:
    """Changes when the file does; empty when it is not there, or the name not yet known."""
    try:
        return file_identity(_path(name)) if name else ""
    except (OSError, ValueError):
        return ""


def jobs_of(
    *,
    file: str,
    filename_pattern: str,
    seed: int,
    seconds: float,
    seed_step: int,
    first: int,
    count: int,
) -> list[ReadyJob]:
    """Jobs `first` to `first + count - 1` of a list, counted from 1; count 0: all from `first`.

    The whole list is checked, whatever part of it is asked for. Raises ValueError or
    FileNotFoundError in a sentence.
    """
    listed = read_jobs(_path(file))
    jobs = settle(listed, filename_pattern, seed=seed, seed_step=seed_step, seconds=seconds)
    for job in jobs:
        check_prefix(job.filename_prefix)
    if first > len(jobs):
        raise ValueError(message("jobs.too_few", name=file, count=len(jobs), first=first))
    return jobs[first - 1 : first - 1 + count if count else None]


def _path(name: str) -> Path:
    return example_jobs_path() if name == EXAMPLE else input_path(name, "file.kind_job_list")
