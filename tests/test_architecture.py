"""The house's rules about who may import whom, and what may happen at import."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOOLS = {"music_matching", "personal_video", "video_search", "lip_sync", "video_quality"}
FLOORS = (
    {"app"},
    {"apps"},
    TOOLS,
    {"training"},
    {"encoders", "media", "deploy"},
    {"store", "weights"},
    {"command_line", "bulk", "jobs", "memory", "tables"},
    {"nn", "runtime", "digest", "sharing", "crews"},
    {"errors", "lending"},
)
"""From the roof down; a module imports from its own package and from lower floors only."""
SOURCES = sorted([ROOT / "app.py", *(ROOT / "apps").rglob("*.py"), *(ROOT / "core").rglob("*.py")])


def unit(module: str) -> str:
    """The room a dotted module name belongs to: ``core.media.video`` -> ``media``, ``apps.runtime`` -> ``apps``."""
    parts = module.split(".")
    return parts[1] if parts[0] == "core" and len(parts) > 1 else parts[0]


def floor(room: str) -> int:
    return next(level for level, rooms in enumerate(FLOORS) if room in rooms)


def imports(path: Path, top_level_only: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} uses a relative import"
            yield node.module or ""


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_from_its_own_room_and_from_lower_floors(path: Path) -> None:
    own = unit(name_of(path))
    for module in imports(path):
        if module == "core" or module.split(".")[0] not in {"app", "apps", "core"}:
            continue
        other = unit(module)
        assert own == other or floor(other) > floor(own), f"{name_of(path)} must not import {module}"


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if "core" in p.parts], ids=lambda path: str(path.relative_to(ROOT))
)
def test_core_never_imports_the_user_interface(path: Path) -> None:
    assert not {"gradio", "gradio_client", "spaces", "apps"} & {module.split(".")[0] for module in imports(path)}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_imports_its_parts_when_they_are_named_is_loaded_by_one_thread_at_a_time(path: Path) -> None:
    """See `core.runtime.loading_alone`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    alone = {inner for node in ast.walk(tree) if _loads_alone(node) for inner in ast.walk(node)}
    lazy = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
            and (node.module or "").split(".")[0] in {"transformers", "diffusers"}]  # fmt: skip
    assert not [node.lineno for node in lazy if node not in alone]


def _loads_alone(node: ast.AST) -> bool:
    around = [item.context_expr for item in node.items] if isinstance(node, ast.With) else []
    around += node.decorator_list if isinstance(node, ast.FunctionDef) else []
    return any(ast.unparse(one) == "loading_alone()" for one in around)


def test_every_tool_with_a_pipeline_has_a_tab_and_every_tab_a_tool() -> None:
    tabs = {path.stem for path in (ROOT / "apps").glob("*.py")} & TOOLS
    tools = {path.name for path in (ROOT / "core").iterdir() if (path / "pipeline.py").exists()} & TOOLS
    assert tabs == tools


def test_inference_never_imports_training() -> None:
    training = {"train", "data", "losses", "tuning", "fine_tuning", "stem_training", "selection", "making",
                "training_commands", "__main__"}  # fmt: skip
    for path in SOURCES:
        if path.stem not in training:
            assert not [m for m in imports(path) if m.rpartition(".")[2] in {"train", "losses"}], path


def test_core_runs_without_gradio_and_loads_no_model_at_import() -> None:
    """With gradio out of reach, every module of core imports, and none starts a thread or loads a heavy library."""
    modules = [name_of(path) for path in SOURCES if "core" in path.parts and path.name != "__main__.py"]
    program = f"""
import importlib, sys, threading
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("gradio", "gradio_client", "spaces"):
            raise ImportError("core must run without " + name)
sys.meta_path.insert(0, Refuse())
for name in {modules!r}:
    importlib.import_module(name)
heavy = {{"transformers", "mediapipe", "faster_whisper", "lancedb", "ray", "faiss"}} & set(sys.modules)
assert not heavy, f"loaded at import: {{heavy}}"
assert threading.active_count() == 1, threading.enumerate()
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
