"""Who may import whom: the table of the design, as code."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "ezarchive"
GROUND = {"errors", "config", "columns", "flags", "magnitudes", "sky", "targets", "files", "pool", "screen", "times", "kernels", "plots"}
VERBS = {
    "anchors", "aperture_photometry", "apertures", "archive", "ask", "associate", "association", "batch", "browse", "calibrate",
    "calibrateframe", "demo", "differential", "driver", "engines", "epochs", "forced", "forcedframe", "imagefitframe", "imagefits",
    "index", "indexing", "lightcurves", "looking", "maps", "measure", "measureoptions", "nightly", "oneimage", "periods",
    "positions", "saving", "variability", "verify", "warmup", "withdraw",
}  # fmt: skip
FACE = {"cli", "__init__", "__main__"}
SCIENCE = {"frames", "images", "photometry", "compare", "quicklook", "timeseries", "store", "catalogs", "database", "simulate"}

MAY_IMPORT = {
    "ground": GROUND,
    "frames": GROUND | {"frames"},
    "images": GROUND | {"frames", "images"},
    "photometry": (GROUND | {"photometry"}) - {"plots"},
    "compare": GROUND | {"images", "photometry", "compare"},
    "quicklook": (GROUND | {"images", "photometry", "quicklook"}) - {"plots"},
    "timeseries": (GROUND | {"timeseries"}) - {"plots"},
    "store": (GROUND | {"timeseries", "store"}) - {"plots"},
    "catalogs": GROUND | {"frames.record", "timeseries", "store", "catalogs"},
    "database": GROUND | {"frames.record", "database"},
    "simulate": GROUND | {"frames", "simulate"},
    "verbs": GROUND | SCIENCE | VERBS,
    "face": GROUND | SCIENCE | VERBS | FACE,
}


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py") if "_schema" not in path.parts)


def name_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def layer_of(name):
    room = name.split(".")[0]
    for layer, rooms in (("ground", GROUND), ("verbs", VERBS), ("face", FACE)):
        if room in rooms:
            return layer
    return room


def is_typing_block(node):
    return isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"


def imports_of(path):
    """Our modules that this one imports when it runs (blocks under TYPE_CHECKING do not run)."""
    stack, found = [ast.parse(path.read_text())], set()
    while stack:
        node = stack.pop()
        if is_typing_block(node):
            continue
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "ezarchive":
                found |= {alias.name for alias in node.names}
            elif (node.module or "").startswith("ezarchive."):
                module = node.module.removeprefix("ezarchive.")
                found |= {module} | {f"{module}.{alias.name}" for alias in node.names if is_module(f"{module}.{alias.name}")}
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.split(".")[0] == "ezarchive"]
            found |= {name.removeprefix("ezarchive.") if "." in name else "__init__" for name in names}
        stack.extend(ast.iter_child_nodes(node))
    return found


def is_module(name):
    path = PACKAGE.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def test_every_module_has_a_layer():
    assert {layer_of(name_of(path)) for path in modules()} <= set(MAY_IMPORT)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_go_down(path):
    layer = layer_of(name_of(path))
    allowed = MAY_IMPORT[layer]
    for target in imports_of(path):
        ok = target in allowed or target.split(".")[0] in allowed
        ok = ok or (target == "frames" and "frames.record" in allowed)
        assert ok, f"{name_of(path)} ({layer}) imports {target}"


def test_ground_imports_only_downwards():
    order = ["errors", "files", "config", "columns", "flags", "magnitudes", "sky", "targets", "pool", "screen", "times", "plots"]
    for path in modules():
        name = name_of(path)
        if name in GROUND:
            later = [target for target in imports_of(path) if target in GROUND and order.index(target) > order.index(name)]
            assert not later, f"{name} imports {later}"


def test_no_cycles():
    names = {name_of(path) for path in modules()}
    graph = {name_of(path): {target for target in imports_of(path) if target in names and target != name_of(path)} for path in modules()}
    assert list(TopologicalSorter(graph).static_order())


def test_only_the_database_room_imports_sqlalchemy():
    for path in modules():
        if name_of(path).split(".")[0] != "database":
            for module in all_imports(path):
                assert module.split(".")[0] not in {"sqlalchemy", "alembic"}, f"{path} imports {module}"


def all_imports(path):
    """Every module that is imported when this one runs."""
    stack = [ast.parse(path.read_text())]
    while stack:
        node = stack.pop()
        if is_typing_block(node):
            continue
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        stack.extend(ast.iter_child_nodes(node))
