"""Rules of the layout that the linters do not know.

The directions of imports inside the core are contracts of import-linter in pyproject.toml.
"""

import ast
import json
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 300
MAX_DOORS = 15
HOST_MODULES = {
    "comfy",
    "comfy_api",
    "comfy_extras",
    "comfy_execution",
    "folder_paths",
    "server",
    "execution",
    "latent_preview",
    "node_helpers",
}


def python_files(*folders: str) -> list[Path]:
    return sorted(p for folder in folders for p in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> Iterator[str]:
    """Every imported module; a relative one is resolved and begins with its top folder."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) + 1 - node.level]
            yield ".".join((*base, *filter(None, [node.module])))
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def imported_modules(path: Path) -> Iterator[str]:
    """Dotted names of the repository's modules that a file imports relatively."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = (*package[: len(package) + 1 - node.level], *(node.module or "").split("."))
            folder = ROOT.joinpath(*filter(None, base))
            for alias in node.names:
                inner = folder / alias.name
                is_module = inner.with_suffix(".py").is_file() or inner.is_dir()
                yield name_of(inner if is_module else folder).replace("/", ".")


def sockets(path: Path) -> Iterator[ast.Call]:
    """Calls that make an input or output of a node."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in ("Input", "Output"):
                yield node


def test_the_pack_imports_itself_relatively() -> None:
    """ComfyUI loads the pack under a name of its own, so its absolute name is another module."""
    for path in python_files("causvid_core", "nodes"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and not node.level:
                assert (node.module or "").split(".")[0] != "causvid_core", name_of(path)


def test_nodes_reach_the_host_only_through_the_host_folder() -> None:
    host = ROOT / "nodes" / "host"
    for path in python_files("nodes"):
        if not path.is_relative_to(host):
            used = {module.split(".")[0] for module in imports(path)} & HOST_MODULES
            assert used <= {"comfy_api"}, f"{name_of(path)} imports {used}; move that to nodes/host"


def test_node_files_do_not_import_each_other() -> None:
    for path in (ROOT / "nodes").glob("*.py"):
        if path.name != "__init__.py":
            others = [m for m in imports(path) if m.split(".")[0] == "nodes" and m != "nodes"]
            assert all(m.startswith("nodes.host") for m in others), name_of(path)


def test_torch_load_reads_weights_only() -> None:
    for path in python_files("causvid_core", "nodes"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                safe = {k.arg: ast.unparse(k.value) for k in node.keywords}.get("weights_only")
                assert safe == "True", f"{name_of(path)}, line {node.lineno}"


def test_files_stay_short() -> None:
    lengths = {
        name_of(path): len(path.read_text("utf-8").splitlines())
        for path in python_files("causvid_core", "nodes", "scripts", "tests")
    }
    too_long = {name: lines for name, lines in lengths.items() if lines > MAX_LINES}
    assert not too_long, f"over {MAX_LINES} lines, split them or say less: {too_long}"


def test_texts_of_nodes_stand_in_their_file_alone() -> None:
    """texts.json has one for every input and output that the code names, and no other."""
    texts = json.loads((ROOT / "nodes" / "texts.json").read_text("utf-8"))
    groups = {"Input": set(texts["inputs"]), "Output": set(texts["outputs"])}
    for node in texts["nodes"].values():
        assert {"display_name", "description"} <= node.keys()
        groups["Input"] |= set(node.get("inputs", {}))
        groups["Output"] |= set(node.get("outputs", {}))
    named: dict[str, set[str]] = {"Input": set(), "Output": set()}
    for path in python_files("nodes"):
        for call in sockets(path):
            keywords = {keyword.arg for keyword in call.keywords}
            assert not keywords & {"tooltip", "display_name", "placeholder"}, name_of(path)
            if isinstance(call.args[0], ast.Constant):
                named[call.func.attr].add(call.args[0].value)
    assert named["Output"] == groups["Output"]
    assert named["Input"] <= groups["Input"]


def test_nodes_reach_the_core_through_few_doors() -> None:
    doors = {
        module
        for path in python_files("nodes")
        for module in imported_modules(path)
        if module.startswith("causvid_core")
    }
    assert len(doors) <= MAX_DOORS, sorted(doors)


def test_modules_of_the_nodes_import_in_one_direction() -> None:
    graph = {
        name_of(path.with_suffix("")).replace("/", ".").removesuffix(".__init__"): set(
            imported_modules(path)
        )
        for path in python_files("nodes")
    }
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_the_requirements_say_what_the_project_file_says() -> None:
    listed = (ROOT / "requirements.txt").read_text("utf-8").split()
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    dependencies = project.split("dependencies = [")[1].split("]")[0]
    assert listed == ast.literal_eval(f"[{dependencies}]")
    assert not any(name.startswith(("torch", "comfy")) for name in listed)
