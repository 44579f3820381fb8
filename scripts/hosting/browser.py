"""Chromium or a browser based on it, for the browser tests."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PROGRAMS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)

# Runs without a screen, a sandbox or a network.
ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
# True in a page once the editor knows the pack's nodes and has opened its first workflow.
LOADED = """() => window.app?.extensionManager?.workflow?.activeWorkflow
    && window.LiteGraph?.registered_node_types["CausVid_TextToVideo"]"""


def find_browser() -> Path | None:
    """The browser that CAUSVID_CHROMIUM names, or an installed one."""
    named = os.environ.get("CAUSVID_CHROMIUM")
    candidates = [named] if named else [*map(shutil.which, COMMANDS), *PROGRAMS]
    return next((Path(c) for c in candidates if c and Path(c).is_file()), None)


def install_browser(log: Path) -> Path | None:
    """Install Debian's chromium if this user may; returns the browser or None."""
    may_install = sys.platform == "linux" and os.geteuid() == 0 and shutil.which("apt-get")
    if not may_install:
        return None
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with log.open("a", encoding="utf-8") as output:
        for arguments in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
            command = ["apt-get", "-q", *arguments]
            subprocess.run(command, env=quiet, stdout=output, stderr=subprocess.STDOUT)
    return find_browser()
