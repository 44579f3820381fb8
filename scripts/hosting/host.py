"""A running ComfyUI with this pack in it."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .client import Client, Listener, Run
from .environment import ROOT, Environment
from .graph import Prompt, Workflow, prompt_from_workflow
from .pack import prepare_base
from .server import Server


class Host:
    """A context manager that starts ComfyUI and stops it.

    base: the base directory, created or refreshed. packs: folders of further custom nodes.
    extra_arguments, variables: see Server.
    """

    def __init__(
        self,
        environment: Environment,
        release: str,
        base: Path,
        packs: Sequence[Path] = (),
        extra_arguments: Sequence[str] = (),
        variables: dict[str, str] | None = None,
    ) -> None:
        self.release = release
        self.base = base
        self.pack = prepare_base(base, tuple(packs))
        self.server = Server(environment, release, base, extra_arguments, variables)
        self.client = Client(self.server.address)

    @property
    def address(self) -> str:
        return self.server.address

    @cached_property
    def object_info(self) -> dict[str, Any]:
        """The schema of every node type, fetched once."""
        return self.client.object_info()

    def workflow(self, name: str) -> Workflow:
        """A shared workflow of this pack, by its name without `.json`."""
        return json.loads((ROOT / "workflows" / f"{name}.json").read_text("utf-8"))

    def prompt(self, workflow: str | Workflow) -> Prompt:
        """A new prompt from a workflow or from the name of a shared one."""
        found = self.workflow(workflow) if isinstance(workflow, str) else workflow
        return prompt_from_workflow(found, self.object_info)

    def run(
        self,
        prompt: Prompt,
        listener: Listener | None = None,
        timeout: float = 600.0,
        extra_data: dict[str, Any] | None = None,
    ) -> Run:
        """See Client.run."""
        return self.client.run(prompt, listener, timeout, extra_data)

    @contextmanager
    def placeholder_models(self, workflow: Workflow) -> Iterator[None]:
        """Empty files for the models that a workflow loads, so that it validates."""
        models = [m for n in workflow["nodes"] for m in n.get("properties", {}).get("models", [])]
        files = [self.base / "models" / m["directory"] / m["name"] for m in models]
        made = [file for file in files if not file.exists()]
        for file in made:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        try:
            yield
        finally:
            for file in made:
                file.unlink()

    def path(self, file: dict[str, str]) -> Path:
        """The path of an entry of `Run.files`."""
        return self.base / file["type"] / file["subfolder"] / file["filename"]

    def memory(self) -> int:
        """Resident bytes of the server process."""
        import psutil

        return psutil.Process(self.server.pid).memory_info().rss

    def log(self) -> str:
        return self.server.log_text()

    def start(self) -> "Host":
        self.server.start()
        return self

    def stop(self) -> None:
        self.server.stop()

    def __enter__(self) -> "Host":
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()


@contextmanager
def temporary_host(release: str) -> Iterator[Host]:
    """Set up a release and run it with a base directory that is deleted afterwards.

    Raises SetupError and ServerError.
    """
    environment = Environment()
    environment.ensure([release])
    with TemporaryDirectory() as folder, Host(environment, release, Path(folder)) as host:
        yield host
