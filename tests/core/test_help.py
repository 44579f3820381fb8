"""`--help` of every command, where nothing but Python itself is installed."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = json.loads(Path(__file__).with_name("command_line.json").read_text("utf-8"))["commands"]
HEAVY = ("torch", "numpy", "av", "cv2", "PIL", "einops", "safetensors", "huggingface_hub")

# Prints what every command says to --help as JSON; arguments: the names of packages that are
# missing, and then of the commands.
HELP = """
import contextlib, io, json, sys

missing, commands = sys.argv[1].split(","), sys.argv[2:]
sys.modules.update(dict.fromkeys(filter(None, missing)))  # None makes an import fail
from causvid_core.cli import main

said = {}
for arguments in ([], *([name] for name in commands)):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main([*arguments, "--help"])
    said[" ".join(arguments)] = out.getvalue()
print(json.dumps(said))
"""


def said(missing: tuple[str, ...]) -> dict[str, str]:
    command = [sys.executable, "-c", HELP, ",".join(missing), *COMMANDS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_help_needs_no_package_and_says_the_same() -> None:
    bare = said(HEAVY)
    assert bare == said(())
    assert list(bare) == ["", *COMMANDS]
    assert all(text.startswith("usage: python -m causvid_core") for text in bare.values())
