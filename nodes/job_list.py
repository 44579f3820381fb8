"""Job List: a file of prompts as lists, for which the connected nodes run once per job."""

from typing import Any

from comfy_api.latest import io

from .host.messages import message
from .host.notice import show
from .host.prompts.jobs import PATTERN, jobs_of, list_identity, list_names
from .host.schema import advanced, schema, verdict
from .host.stream import inputs


class JobList(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_JobList",
            inputs=[
                io.Combo.Input("file", options=list_names()),
                io.String.Input("filename_pattern", default=PATTERN),
                inputs.seed_input(),
                inputs.seconds_input(),
                advanced(io.Int.Input("seed_step", default=1, min=0, max=1000000)),
                advanced(io.Int.Input("first", default=1, min=1, max=1000)),
                advanced(io.Int.Input("count", default=0, min=0, max=1000)),
            ],
            outputs=[
                io.String.Output("prompt", is_output_list=True),
                io.Int.Output("job_seed", is_output_list=True),
                io.String.Output("filename_prefix", is_output_list=True),
                io.Float.Output("job_seconds", is_output_list=True),
            ],
        )

    @classmethod
    def validate_inputs(cls, **widgets: Any) -> bool | str:
        """The whole list, before anything is queued, unless a widget is linked."""
        return None in widgets.values() or verdict(jobs_of, **widgets)

    @classmethod
    def fingerprint_inputs(cls, file: str | None, **others: Any) -> str:
        """Changes when the file does; a linked name arrives as None and speaks for itself."""
        return list_identity(file)

    @classmethod
    def execute(cls, **widgets: Any) -> io.NodeOutput:
        jobs = jobs_of(**widgets)
        columns = list(
            zip(*((j.prompt, j.seed, j.filename_prefix, j.seconds) for j in jobs), strict=True)
        )
        names, seconds = columns[2], sum(columns[3])
        show(message("jobs.read", count=len(jobs), seconds=seconds, first=names[0], last=names[-1]))
        return io.NodeOutput(*map(list, columns))
