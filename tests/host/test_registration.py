"""The pack as ComfyUI sees it after loading: nodes, their texts, help pages and templates."""

import re
from pathlib import Path
from typing import Any

import pytest
from hosting.host import Host
from hosting.pack import PACK_NAME

ROOT = Path(__file__).resolve().parents[2]
FIRST_NODES = {
    "CausVid_LoadMini",
    "CausVid_LoadCheckpoint",
    "CausVid_Recipe",
    "CausVid_TextToVideo",
}
TEMPLATES = sorted(p.stem for p in (ROOT / "workflows").glob("*.json"))


@pytest.fixture
def own_nodes(host: Host) -> dict[str, Any]:
    return {name: s for name, s in host.object_info.items() if name.startswith("CausVid_")}


def test_the_pack_loads_without_complaint(host: Host) -> None:
    log = host.log()
    assert not re.search(rf"IMPORT FAILED.*{PACK_NAME}|Cannot import .*{PACK_NAME}", log)
    assert PACK_NAME in log


def test_the_nodes_are_registered_in_one_category(own_nodes: dict[str, Any]) -> None:
    assert own_nodes.keys() >= FIRST_NODES
    categories = {schema["category"].split("/")[0] for schema in own_nodes.values()}
    assert len(categories) == 1


def test_every_node_explains_itself(own_nodes: dict[str, Any]) -> None:
    for name, schema in own_nodes.items():
        assert schema["display_name"] and schema["display_name"] != name, name
        assert schema["description"], name
        assert all(schema["output_name"]), name
        inputs = schema["input"].get("required", {}) | schema["input"].get("optional", {})
        for key, spec in inputs.items():
            assert len(spec) > 1 and spec[1].get("tooltip"), f"{name}.{key} has no tooltip"


def test_every_node_has_a_help_page(host: Host, own_nodes: dict[str, Any]) -> None:
    for name in own_nodes:
        status, page = host.client.get_bytes(f"/extensions/{PACK_NAME}/docs/{name}.md")
        assert status == 200 and len(page) > 200, name


def test_the_shared_workflows_are_templates_with_pictures(host: Host) -> None:
    listed = host.client.get("/workflow_templates")[PACK_NAME]
    assert sorted(listed) == TEMPLATES and "text_to_video_mini" in TEMPLATES
    for name in TEMPLATES:
        status, picture = host.client.get_bytes(f"/api/workflow_templates/{PACK_NAME}/{name}.jpg")
        assert status == 200 and picture[:2] == b"\xff\xd8", name
