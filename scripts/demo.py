"""Renders a video with CausVid Mini in a real ComfyUI: `python scripts/demo.py`.

The first run sets everything up in one folder, `.causvid` or what CAUSVID_HOME names. The video
and a contact sheet of it are written to the folder `demo`.
"""

import argparse
import signal
import sys
import time
from pathlib import Path

from hosting import command
from hosting.environment import ROOT, Environment
from hosting.pins import HOST_RELEASES, NEWEST


def main() -> int:
    arguments = parse_arguments()
    environment = Environment(torch_index_url=arguments.torch_index_url)
    environment.ensure([arguments.comfyui])
    if not command.runs_in(environment):
        return command.run_again(environment, "--started", str(arguments.started))
    from hosting import demo  # needs packages that only the environment has
    from hosting.client import PromptRejected
    from hosting.graph import GraphError
    from hosting.server import ServerError

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped too
    try:
        demo.make(environment, arguments)
    except (demo.DemoError, GraphError, PromptRejected, ServerError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Render a video with CausVid Mini in ComfyUI.")
    parser.add_argument("--prompt", help="what happens in the video (default: the template's)")
    parser.add_argument("--seconds", type=float, help="length of the video")
    parser.add_argument("--seed", type=int, help="another seed, another video")
    parser.add_argument("--ui", action="store_true", help="leave ComfyUI open afterwards")
    parser.add_argument("--output", type=Path, default=ROOT / "demo", help="folder for the files")
    parser.add_argument("--comfyui", choices=list(HOST_RELEASES), default=NEWEST)
    command.add_torch_index(parser)
    parser.add_argument("--started", type=float, default=time.time(), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    command.run(main)
