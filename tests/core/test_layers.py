"""The architecture as a test: which layer may import which, and habits that keep files readable."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 300
HOST_MODULES = {
    "comfy",
    "comfy_api",
    "comfy_extras",
    "comfy_execution",
    "folder_paths",
    "server",
    "nodes",
    "execution",
    "latent_preview",
    "node_helpers",
}
CORE_MAY_IMPORT = {
    "model": set(),
    "stream": {"model"},
    "media": {"model"},
    "mini": {"model", "stream", "media"},
    "render": {"model", "stream", "media", "mini"},
    "distill": {"model", "stream", "media", "mini", "render"},
    "farm": {"model", "stream", "media", "mini", "render"},
    "cli": {"model", "stream", "media", "mini", "render", "distill", "farm"},
    "__main__": {"cli"},
}
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "subprocess", "marshal", "shelve"}
FORBIDDEN_CALLS = {"eval", "exec"}


def python_files(*folders: str) -> list[Path]:
    return sorted(p for folder in folders for p in (ROOT / folder).rglob("*.py"))


PACK = [*ROOT.glob("*.py"), *python_files("causvid_core", "nodes")]
ALL = [*PACK, *python_files("scripts", "tests")]


def relative_name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> Iterator[tuple[str, ...]]:
    """Every imported module as parts; a relative one is resolved and starts with its top folder.

    `from ..stream import noise` in causvid_core/media/vae.py gives
    ("causvid_core", "stream", "noise"); an import that leaves the repository gives ("..",).
    """
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = tuple(node.module.split(".")) if node.module else ()
            if node.level > len(package) + 1:
                yield ("..",)
            elif node.level:
                base = (*package[: len(package) + 1 - node.level], *module)
                yield from ((*base, alias.name) for alias in node.names)
            else:
                yield module


def calls(path: Path) -> Iterator[ast.Call]:
    tree = ast.parse(path.read_text("utf-8"))
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def relative_modules(path: Path) -> list[ast.ImportFrom]:
    tree = ast.parse(path.read_text("utf-8"))
    return [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level]


@pytest.mark.parametrize("path", python_files("causvid_core"), ids=relative_name)
def test_the_core_knows_neither_the_host_nor_layers_above(path: Path) -> None:
    own = path.relative_to(ROOT / "causvid_core").with_suffix("").parts[0]
    depth = len(path.relative_to(ROOT).parts) - 1
    assert all(n.level <= depth for n in relative_modules(path)), "an import leaves the core"
    for parts in imports(path):
        top = parts[0]
        assert top not in HOST_MODULES and top != "..", f"the core imports {'.'.join(parts)}"
        if top != "causvid_core" or own == "__init__" or len(parts) < 2:
            continue
        layer = parts[1]
        if layer == own or layer not in CORE_MAY_IMPORT:
            continue
        assert own in CORE_MAY_IMPORT, f"{own} is no known layer of the core"
        assert layer in CORE_MAY_IMPORT[own], f"{own} may not import {layer}"


@pytest.mark.parametrize("path", python_files("causvid_core", "nodes"), ids=relative_name)
def test_the_pack_imports_itself_relatively(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            assert (node.module or "").split(".")[0] != "causvid_core"
        elif isinstance(node, ast.Import):
            assert all(alias.name.split(".")[0] != "causvid_core" for alias in node.names)


@pytest.mark.parametrize("path", python_files("nodes"), ids=relative_name)
def test_nodes_reach_the_host_only_through_the_host_folder(path: Path) -> None:
    inside_host = path.is_relative_to(ROOT / "nodes" / "host")
    is_list = path == ROOT / "nodes" / "__init__.py"
    for parts in imports(path):
        if not inside_host and parts[0] in HOST_MODULES - {"comfy_api", "nodes"}:
            pytest.fail(f"{'.'.join(parts)} belongs into nodes/host")
        if parts[0] == "nodes" and not is_list and parts[1:2] != ("host",):
            pytest.fail(f"node files do not import each other: {'.'.join(parts)}")


@pytest.mark.parametrize("path", ALL, ids=relative_name)
def test_files_stay_short(path: Path) -> None:
    lines = len(path.read_text("utf-8").splitlines())
    assert lines <= MAX_LINES, f"{lines} lines; split it or say less"


@pytest.mark.parametrize("path", PACK, ids=relative_name)
def test_the_pack_never_loads_or_runs_code(path: Path) -> None:
    for parts in imports(path):
        assert parts[0] not in FORBIDDEN_MODULES, f"the pack imports {parts[0]}"
    for call in calls(path):
        name = call.func.id if isinstance(call.func, ast.Name) else None
        assert name not in FORBIDDEN_CALLS, f"line {call.lineno} calls {name}"
        if ast.unparse(call.func) == "torch.load":
            safe = {k.arg: ast.unparse(k.value) for k in call.keywords}.get("weights_only")
            assert safe == "True", f"line {call.lineno}: torch.load without weights_only=True"


@pytest.mark.parametrize("path", ALL, ids=relative_name)
def test_no_bare_except_and_no_global_statement(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        assert not isinstance(node, ast.Global), f"line {node.lineno}: global statement"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"line {node.lineno}: bare except"


@pytest.mark.parametrize("path", python_files("nodes"), ids=relative_name)
def test_every_node_input_has_a_tooltip(path: Path) -> None:
    for call in calls(path):
        if isinstance(call.func, ast.Attribute) and call.func.attr == "Input":
            keywords = {k.arg for k in call.keywords}
            assert "tooltip" in keywords or None in keywords, f"line {call.lineno}: no tooltip"


def test_the_requirements_say_what_the_project_file_says() -> None:
    listed = (ROOT / "requirements.txt").read_text("utf-8").split()
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    dependencies = project.split("dependencies = [")[1].split("]")[0]
    assert listed == ast.literal_eval(f"[{dependencies}]")
    assert not any(name.startswith(("torch", "comfy")) for name in listed)
