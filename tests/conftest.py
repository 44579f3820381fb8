"""Imports, marks and the running ComfyUI that tests share.

The repository root must never be on `sys.path`: it holds a folder `nodes`, which would shadow
ComfyUI's module of that name. Instead a finder answers for these names:

* `causvid_core`, as if the package were installed;
* `hosting`, the project's own code around a real ComfyUI (scripts/hosting), `benchmarks`,
  `measuring` and `torturing` (folders of scripts/ with these names);
* `causvid_pack`, the repository root itself, so that tests may import `causvid_pack.nodes`.

Tests in tests/host, tests/workflows and tests/browser get the marks of the same meaning and use:

    def test_something(host):                        # runs once per ComfyUI release
        prompt = host.prompt("text_to_video_mini")   # a shared workflow; or a dict of your own
        run = host.run(prompt)                       # follows it to its end
        assert run.status == "success", run.error
        run.events, run.previews, run.progress("5"), run.cached, run.executed, run.outputs
        host.path(run.files()[0]); host.memory(); host.client.interrupt(); host.log()

A listener given to `run` receives every event and may call `host.client.interrupt()`. A prompt
that does not validate raises hosting.client.PromptRejected. Equal inputs are cached, so vary one,
for example the seed. `start_host(release, ...)` gives a server of one's own with a fresh base
directory, other variables or arguments. Every folder in tests/host/packs is installed beside the
pack. `python scripts/test.py` installs ComfyUI; without it these tests are skipped.
"""

import os
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOUND_IN = {
    "causvid_core": ROOT,
    "hosting": ROOT / "scripts",
    "benchmarks": ROOT / "scripts",
    "measuring": ROOT / "scripts",
    "torturing": ROOT / "scripts",
}
SERVED_FOLDERS = {"host": "host", "workflows": "host", "browser": "browser"}
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


class ProjectFinder:
    """Finds the project's packages and leaves every other name to the next finder."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        folder = FOUND_IN.get(name)
        return PathFinder.find_spec(name, [str(folder)]) if folder else None


def _register_pack() -> None:
    pack = ModuleType("causvid_pack")
    pack.__path__ = [str(ROOT)]
    sys.modules.setdefault("causvid_pack", pack)


sys.meta_path.insert(0, ProjectFinder)
_register_pack()

from hosting.environment import Environment  # noqa: E402  (the finder has to be in place)
from hosting.host import Host  # noqa: E402
from hosting.pins import HOST_RELEASES  # noqa: E402


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(ROOT / "tests").parts[0]
        if folder in SERVED_FOLDERS:
            item.add_marker(SERVED_FOLDERS[folder])
        release = getattr(item, "callspec", None) and item.callspec.params.get("host")
        if release:
            # One process runs all tests of a release, so that its server starts once.
            item.add_marker(pytest.mark.xdist_group(release))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Adds the end of the server's log to a failure."""
    outcome = yield
    report = outcome.get_result()
    host = getattr(item, "funcargs", {}).get("host")
    if report.failed and isinstance(host, Host):
        report.sections.append(("end of the ComfyUI log", host.log()[-3000:]))


@pytest.fixture(scope="session")
def environment() -> Environment:
    return Environment()


@pytest.fixture(scope="session")
def start_host(
    environment: Environment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Host]]:
    """start_host(release, **arguments of Host) -> a running Host, stopped at the end."""
    started: list[Host] = []

    def start(release: str, **arguments: Any) -> Host:
        if not environment.has(release):
            required = os.environ.get("CAUSVID_REQUIRE_HOST")
            give_up = pytest.fail if required else pytest.skip
            give_up(f"ComfyUI {release} is not set up; python scripts/test.py does that.")
        packs = sorted(p for p in (ROOT / "tests/host/packs").iterdir() if p.is_dir())
        arguments.setdefault("variables", OFFLINE)
        base = tmp_path_factory.mktemp(f"comfyui-{release}-")
        host = Host(environment, release, base, packs=packs, **arguments)
        started.append(host.start())
        return host

    yield start
    for host in started:
        host.stop()


@pytest.fixture(scope="session", params=list(HOST_RELEASES))
def host(request: pytest.FixtureRequest, start_host: Callable[..., Host]) -> Iterator[Host]:
    """A server of each ComfyUI release in turn, shared by all tests."""
    running = start_host(request.param)
    yield running
    running.stop()
