"""Sets up what the tests need and runs them all: `python scripts/test.py [pytest arguments]`.

The first run installs a virtual environment, two ComfyUI releases and, as root on Debian,
Chromium. Everything but Chromium goes into one folder, `.causvid` or what CAUSVID_HOME names.
"""

import argparse
import os
import subprocess
import sys

from hosting import command
from hosting.browser import find_browser, install_browser
from hosting.environment import ROOT, Environment, SetupError
from hosting.pins import HOST_RELEASES

CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "--quiet", "."),
    ("lint-imports", "--no-logo"),
    ("mypy",),
)
FAST = ("tests/core", "tests/scripts", "-m", "not slow")
MOST_PROCESSES = 4  # each runs a ComfyUI of its own, and there are two releases


def main() -> int:
    arguments, for_pytest = parse_arguments()
    environment = Environment(torch_index_url=arguments.torch_index_url)
    without_comfyui = arguments.fast or arguments.checks
    environment.ensure([] if without_comfyui else list(HOST_RELEASES), tools=True)
    variables = {"CAUSVID_HOME": str(environment.home)}
    commands = list(CHECKS)
    if not arguments.checks:
        variables |= {} if arguments.fast else browser_variables(environment)
        if not any(argument.startswith("tests") for argument in for_pytest):
            for_pytest += FAST if arguments.fast else ["tests"]
        processes = min(os.cpu_count() or 1, MOST_PROCESSES)
        variables |= command.thread_variables(max(1, (os.cpu_count() or 1) // processes))
        spread = ("-n", str(processes), "--dist", "loadgroup")
        commands.append(("python", "-m", "pytest", "--durations=10", *spread, *for_pytest))
    for program, *options in commands:
        done = subprocess.run(
            [environment.python.with_name(program), *options], cwd=ROOT, env=os.environ | variables
        )
        if done.returncode:
            return done.returncode
    return 0


def parse_arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description="Run every check and test; arguments not listed here go to pytest."
    )
    part = parser.add_mutually_exclusive_group()
    part.add_argument(
        "--checks", action="store_true", help="only lint, format, import rules and types"
    )
    part.add_argument("--fast", action="store_true", help="only the quick tests, without ComfyUI")
    command.add_torch_index(parser)
    return parser.parse_known_args()


def browser_variables(environment: Environment) -> dict[str, str]:
    """Variables that name the browser. Without one its tests are skipped; a Linux CI fails."""
    browser = find_browser() or install_browser(environment.log)
    variables = {"CAUSVID_REQUIRE_HOST": "1"}
    if browser is not None:
        return variables | {"CAUSVID_CHROMIUM": str(browser)}
    advice = "No Chromium or Chrome was found (CAUSVID_CHROMIUM may name one)"
    if os.environ.get("CI") == "true" and sys.platform == "linux":
        raise SetupError(f"{advice} and none could be installed; see {environment.log}.")
    print(f"{advice}; the browser tests are skipped.")
    return variables


if __name__ == "__main__":
    command.run(main)
