"""comfy-test, taught what it does not know about this pack and about V3 nodes.

* Nodes are announced by `comfy_entrypoint`; comfy-test looks for NODE_CLASS_MAPPINGS only.
* An input of type COMBO is a widget, and a seed's saved values are followed by its control mode.
* `causvid_core` runs without ComfyUI, so the rule "use comfy.ops, not torch.nn" is for `nodes`.
* web/player/secret.js wraps `api.fetchApi`: the editor has no other way to put something into a
  prompt's extra data. The wrapper calls what it found there and changes nothing but that.
* Its browser is the one in CAUSVID_CHROMIUM, and there is no CUDA device.

Run inside the installed pack's folder with scripts/, ComfyUI and its packages on PYTHONPATH.
"""

import ast
import os
import sys
from pathlib import Path

import comfy_test.comfyui.coverage as coverage
import comfy_test.orchestration.levels.instantiation as instantiation
import comfy_test.orchestration.levels.syntax as syntax
import comfy_test.orchestration.levels.validation as validation_level
import comfy_test.reporting.js_lint as js_lint
from comfy_test.cli import main
from comfy_test.comfyui.validator import ValidationError, ValidationResult, WorkflowValidation
from hosting.graph import COMMENTS, widget_values, widgets
from playwright.sync_api import BrowserType

LIST_OF_MAPPINGS = 'mappings = getattr(module, "NODE_CLASS_MAPPINGS", {{}})'
LIST_OF_NODES = """import asyncio
    extension = asyncio.run(module.comfy_entrypoint())
    classes = asyncio.run(extension.get_node_list())
    mappings = {{cls.GET_SCHEMA().node_id: cls for cls in classes}}
    assert mappings"""
# What main.py does first: ComfyUI's nodes.py later hides the package `utils` behind comfy/utils.py.
START = """import utils.extra_config
import comfy.cli_args
comfy.cli_args.args.cpu = True
import folder_paths"""


# A template should neither download unasked nor change what its checkpoint was made for.
NOT_IN_TEMPLATES = {"CausVid_DownloadCheckpoint", "CausVid_Recipe"}


WRAPPED = ("player/secret.js", "shared-object-monkeypatch")


class Validation(WorkflowValidation):
    """Compares saved values with the widgets that the editor really shows; skips its comments."""

    def validate(self, workflow: dict) -> ValidationResult:
        nodes = [node for node in workflow["nodes"] if node["type"] not in COMMENTS]
        return super().validate(workflow | {"nodes": nodes})

    def _validate_widgets(self, node: dict, schema: dict) -> list[ValidationError]:
        values = widget_values(node, schema)
        errors = []
        for name, spec in widgets(schema):
            options = spec[1] if len(spec) > 1 else {}
            kind = options.get("options") if spec[0] == "COMBO" else spec[0]
            if name not in values or not kind or options.get("multiselect"):
                continue
            if error := self._validate_value(name, kind, spec, values[name]):
                errors.append(ValidationError(node["id"], node["type"], error, "schema"))
        return errors


def registered_nodes(pack: Path) -> tuple[set[str], list[str]]:
    """Every node id in the pack's `nodes` folder that templates should use, and no warnings."""
    found = set()
    for file in (pack / "nodes").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "node_id":
                if isinstance(node.value, ast.Constant):
                    found.add(node.value.value)
    return found - NOT_IN_TEMPLATES, []


def adapt() -> None:
    validation_level.WorkflowValidation = Validation
    coverage.discover_registered_nodes = registered_nodes

    script = instantiation.INSTANTIATION_SCRIPT
    for old, new in ((LIST_OF_MAPPINGS, LIST_OF_NODES), ("import folder_paths", START)):
        if script.count(old) != 1:
            raise SystemExit("This version of comfy-test is not the one that scripts/hosting pins.")
        script = script.replace(old, new)
    instantiation.INSTANTIATION_SCRIPT = script

    check_patterns = syntax._check_forbidden_patterns
    syntax._check_forbidden_patterns = lambda context: check_patterns(
        context.with_updates(node_dir=context.node_dir / "nodes")
    )

    lint = js_lint.lint_web_dir
    js_lint.lint_web_dir = lambda *arguments: [
        found for found in lint(*arguments) if (found.file, found.rule) != WRAPPED
    ]

    launch = BrowserType.launch
    browser = os.environ["CAUSVID_CHROMIUM"]
    BrowserType.launch = lambda *arguments, **options: launch(
        *arguments, **{"executable_path": browser, **options}
    )


if __name__ == "__main__":
    adapt()
    sys.exit(main())
