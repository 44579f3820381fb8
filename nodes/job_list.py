"""Many videos with one press."""

from typing import Any

from comfy_api.latest import io

from .host.jobs import jobs_of, list_identity, list_names
from .host.notice import show
from .host.schema import advanced, schema

PATTERN = "batch/{index:03}_{prompt_slug}_{seed}"


class JobList(io.ComfyNode):
    """A file of prompts as lists, for which the nodes behind it run once a job."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_JobList",
            display_name="CausVid Job List",
            description=(
                "Reads prompts and seeds from a text, CSV or JSONL file in the input folder; the "
                "nodes behind it run once for every line. The whole list is checked before the "
                "first video is made."
            ),
            search_aliases=["batch", "prompts from file", "csv", "queue many"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=list_names(),
                    tooltip=(
                        "A .txt, .csv, .tsv or .jsonl file in the input folder, at most 1,000 jobs. "
                        "Press R after copying or changing one."
                    ),
                ),
                io.String.Input(
                    "filename_pattern",
                    default=PATTERN,
                    tooltip=(
                        "How FILENAME_PREFIX is made. In curly brackets: index, the job's number from "
                        "1 (index:03 gives 001); prompt_slug, the beginning of the prompt; seed; name, "
                        "the list's name for the job, or prompt_slug where it has none. / makes "
                        "folders."
                    ),
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**64 - 1,
                    control_after_generate=True,
                    tooltip=(
                        "For jobs without a seed of their own: of the first job; see seed_step."
                    ),
                ),
                io.Float.Input(
                    "seconds",
                    default=5.0,
                    min=0.1,
                    max=3600.0,
                    step=0.1,
                    tooltip=("Length for jobs without one of their own."),
                ),
                advanced(
                    io.Int.Input(
                        "seed_step",
                        default=1,
                        min=0,
                        max=1000000,
                        tooltip=("How much the seed rises from job to job. 0: all have the same."),
                    )
                ),
                advanced(
                    io.Int.Input(
                        "first",
                        default=1,
                        min=1,
                        max=1000,
                        tooltip=("The job to begin with, counted from 1."),
                    )
                ),
                advanced(
                    io.Int.Input(
                        "count",
                        default=0,
                        min=0,
                        max=1000,
                        tooltip=("How many jobs. 0: all that follow."),
                    )
                ),
            ],
            outputs=[
                io.String.Output(
                    "prompt",
                    display_name="PROMPT",
                    is_output_list=True,
                    tooltip=("For CLIP Text Encode."),
                ),
                io.Int.Output(
                    "job_seed",
                    display_name="SEED",
                    is_output_list=True,
                    tooltip=("For the node that makes the video."),
                ),
                io.String.Output(
                    "filename_prefix",
                    display_name="FILENAME_PREFIX",
                    is_output_list=True,
                    tooltip="For the node that saves the video.",
                ),
                io.Float.Output(
                    "job_seconds",
                    display_name="SECONDS",
                    is_output_list=True,
                    tooltip="For the node that makes the video.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, **widgets: Any) -> bool | str:
        """The whole list, before anything is queued, unless a widget is linked."""
        if any(value is None for value in widgets.values()):
            return True
        try:
            _jobs(**widgets)
        except (OSError, ValueError) as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, file: str | None, **others: Any) -> str:
        """Changes when the file does; a linked name arrives as None and speaks for itself."""
        return list_identity(file) if file else ""

    @classmethod
    def execute(cls, **widgets: Any) -> io.NodeOutput:
        jobs = _jobs(**widgets)
        total = f"{sum(job.seconds for job in jobs):.1f} s in all"
        show(f"{len(jobs)} jobs, {total}: {jobs[0].filename_prefix} to {jobs[-1].filename_prefix}")
        return io.NodeOutput(
            [job.prompt for job in jobs],
            [job.seed for job in jobs],
            [job.filename_prefix for job in jobs],
            [job.seconds for job in jobs],
        )


def _jobs(file: str, filename_pattern: str, **others: Any) -> Any:
    return jobs_of(file, filename_pattern, **others)
