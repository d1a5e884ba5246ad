"""The layout of the house: imports point down, importing does nothing."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "cnnlab"

# From the ground up. A room imports rooms of lower floors, never its siblings on the same one.
FLOORS = (
    {"places"},
    {"files", "hashing", "text"},
    {"config"},
    {"engine", "hdf5", "locks", "records", "statistics"},
    {"images"},
    {"data", "augment", "models"},
    {"features"},
    {"training", "evaluation", "explain"},
    {"artifact"},
    {"serving"},
    {"experiment"},
    {"plots"},
    {"widgets"},
    {"runs"},
    {"report"},
    {"commands"},
    {"__main__"},
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FRAMEWORKS = {"tensorflow", "keras", "tf_keras"}  # engine.py imports them for everybody
BEHIND = {"cnnlab.serving.disk_cache": "serving.cache"}  # imported by one other module only
GRAB_BAGS = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}


def source_files() -> dict[str, str]:
    """Every module of the package, "data.splits" → its source."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts)] = path.read_text(encoding="utf-8")
    return found


def imported(source: str) -> list[str]:
    """Dotted names of all imports, at any depth: ``cnnlab.data.splits``; ``.x`` if relative."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            # `from cnnlab import plots` names a room, `from cnnlab.plots import x` a thing in it.
            bare = origin == "cnnlab" or node.level
            whole = [f"{origin}.{alias.name}" for alias in node.names]
            names += dict.fromkeys(name if bare or _is_module(name) else origin for name in whole)
    return names


def _is_module(name: str) -> bool:
    """Tell whether a dotted name is that of one of our modules."""
    return PACKAGE.parent.joinpath(*name.split(".")).with_suffix(".py").is_file()


def violations(module: str, source: str) -> list[str]:
    """What one module breaks of the rules above; empty for a good one.

    Args:
        module: Its dotted name below the package: "config", "data.splits", "data.__init__".
        source: Its text.
    """
    room, *inside = module.split(".")
    found = []
    found += [f"{module}: {part} says nothing" for part in {room, *inside} & GRAB_BAGS]
    if module == "__init__":
        return found + [f"the package imports {name}" for name in imported(source) if name != "os"]
    if room not in FLOOR_OF:
        return [*found, f"{module} has no place on any floor"]
    for name in imported(source):
        top, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if not top:
            found.append(f"{module} imports {name}: write the whole name")
        elif top in FRAMEWORKS and module != "engine":
            found.append(f"{module} imports {top}: take it from cnnlab.engine")
        elif top == "hashlib" and module != "hashing":
            found.append(f"{module} imports hashlib: take SHA-256 from cnnlab.hashing")
        elif name in BEHIND and module != BEHIND[name]:
            found.append(f"{module} imports {name}: it stays behind {BEHIND[name]}")
        elif top != "cnnlab" or target in {room, "__version__"}:
            continue
        elif room == "plots":
            found.append(f"plots imports {name}: it takes arrays and knows nobody")
        elif target not in FLOOR_OF:
            found.append(f"{module} imports {name}, which is no room")
        elif FLOOR_OF[target] >= FLOOR_OF[room]:
            found.append(f"{module} imports {name}: imports point down only")
    return found


@pytest.mark.parametrize("module", source_files())
def test_module(module: str) -> None:
    assert violations(module, source_files()[module]) == []


def test_every_floor_is_built_of_rooms_that_exist() -> None:
    rooms = {name.split(".")[0] for name in source_files()} - {"__init__"}
    assert rooms == set(FLOOR_OF)


@pytest.mark.parametrize(
    ("module", "source", "says"),
    [
        ("data.splits", "from cnnlab.training import fit", "imports point down"),
        ("data.splits", "import cnnlab.runs.folder", "imports point down"),
        ("data.splits", "from cnnlab import artifact", "imports point down"),
        ("data.splits", "from cnnlab import config, artifact", "imports point down"),
        ("data.splits", "import os, cnnlab.artifact", "imports point down"),
        ("data.splits", "def f():\n    from cnnlab import artifact", "imports point down"),
        ("data.splits", "if TYPE_CHECKING:\n    from cnnlab import runs", "imports point down"),
        ("data.splits", "from cnnlab.augment import draw", "imports point down"),  # a sibling
        ("evaluation.scoring", "from cnnlab import explain", "imports point down"),
        ("config", "from cnnlab.engine import tf", "imports point down"),
        ("images.__init__", "from cnnlab.models import build", "imports point down"),
        ("runs.folder", "from cnnlab.__main__ import main", "imports point down"),
        ("data.splits", "from .audit import groups", "whole name"),
        ("data.splits", "from . import audit", "whole name"),
        ("data.splits", "import tensorflow as tf", "cnnlab.engine"),
        ("data.splits", "from tensorflow import io", "cnnlab.engine"),
        ("data.splits", "import keras.layers", "cnnlab.engine"),
        ("data.splits", "from hashlib import sha256", "cnnlab.hashing"),
        ("plots.data", "from cnnlab.config import Settings", "knows nobody"),
        ("serving.graph", "from cnnlab.serving.disk_cache import Entry", "behind serving.cache"),
        ("serving.graph", "from cnnlab.serving import cache, disk_cache", "behind serving.cache"),
        ("data.splits", "from cnnlab.nowhere import x", "no room"),
        ("data.splits", "from cnnlab.utils import x", "no room"),
        ("data.utils", "", "says nothing"),
        ("data.helpers", "", "says nothing"),
        ("shed", "", "no place"),
        ("__init__", "from cnnlab.config import Settings", "the package imports"),
    ],
)
def test_the_checker_sees_a_planted_violation(module: str, source: str, says: str) -> None:
    found = violations(module, source)
    assert len(found) == 1
    assert says in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("engine", "import tensorflow as tf\nimport keras"),
        ("data.splits", "from cnnlab.config import Settings\nfrom cnnlab.data import manifest"),
        ("data.__init__", "import numpy as np\nfrom cnnlab import images\nimport kerastuner"),
        ("plots.data", "from cnnlab.plots.style import INK"),
        (
            "report.front_page",
            "import cnnlab.artifact.model_folder\nfrom cnnlab import __version__",
        ),
        ("__main__", "def main():\n    from cnnlab.runs import execute"),
    ],
)
def test_the_checker_lets_good_modules_pass(module: str, source: str) -> None:
    assert violations(module, source) == []


# What importing a module may not change. Runs in a process of its own, in an empty folder.
PROBE = """
import importlib, logging, os, pathlib, random, sys, warnings
import numpy
others, modules = (text.split() for text in sys.argv[1:])
for name in others:  # what they do at their import is not cnnlab's doing
    importlib.import_module(name)

def state():
    kind, keys, *rest = numpy.random.get_state()
    seen = {
        "the random state": (random.getstate(), kind, keys.tobytes(), rest),
        "logging": (logging.root.level, list(logging.root.handlers)),
        "the working folder": os.getcwd(),
        "files": sorted(map(str, pathlib.Path(".").rglob("*"))),
        "the environment": dict(os.environ),
        "warning filters": list(warnings.filters),
        "the search path": list(sys.path),
    }
    if "tensorflow" in sys.modules:
        from tensorflow.python.eager import context
        seen["TensorFlow's seed"] = context.global_seed()
    return seen

import cnnlab
for name in modules:
    before = state()
    importlib.import_module(name)
    after = state()
    for what in before:
        if before[what] != after[what]:
            print(f"importing {name} changes {what}")
"""


def probed(
    modules: list[str], folder: Path, *, others: list[str] | None = None, search: Path | None = None
) -> list[str]:
    """Import ``others``, then ``modules`` one by one; return what the latter changed."""
    environment = {
        "PYTHONPATH": str(search or PACKAGE.parent),
        "CNNLAB_HOME": str(folder),
        "HOME": str(folder),
        "MPLCONFIGDIR": str(folder.parent),
        "PATH": os.defpath,
    }
    done = subprocess.run(
        [sys.executable, "-c", PROBE, " ".join(others or []), " ".join(modules)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_importing_settings_does_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    assert probed(["cnnlab", "cnnlab.config"], folder) == []


def test_the_probe_sees_a_module_that_does_something(tmp_path: Path) -> None:
    folder, planted = tmp_path / "empty", tmp_path / "planted"
    (planted / "cnnlab").mkdir(parents=True)
    folder.mkdir()
    (planted / "cnnlab" / "__init__.py").touch()
    (planted / "cnnlab" / "seeds.py").write_text("import numpy\nnumpy.random.seed(1)\n")
    (planted / "cnnlab" / "makes.py").write_text("import os\nos.mkdir('reports')\n")
    found = probed(["cnnlab.seeds", "cnnlab.makes"], folder, search=planted)
    assert found == [
        "importing cnnlab.seeds changes the random state",
        "importing cnnlab.makes changes files",
    ]


@pytest.mark.slow
def test_importing_any_module_does_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    sources = source_files()
    modules = [f"cnnlab.{name}".removesuffix(".__init__") for name in sources]
    used = {name for source in sources.values() for name in imported(source)}
    others = sorted(name for name in used if name.split(".")[0] != "cnnlab")
    # First the engine: it is there to import TensorFlow quietly.
    assert probed(modules, folder, others=["cnnlab.engine", *others]) == []
