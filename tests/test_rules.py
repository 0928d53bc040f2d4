"""The rules that keep the library simple, held by tests."""

from __future__ import annotations

import abc
import ast
import importlib
import importlib.util
import inspect
import pkgutil
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import attrs
import numpy as np
import pytest

import latentem as lem
from latentem.run import em

ROOT = Path(lem.__file__).parent
REPOSITORY = Path(__file__).parents[1]  # the library may be elsewhere: a wheel that was installed
LACKING = () if importlib.util.find_spec("numba") else ("latentem.compiled.loops",)
NAMES = [name for _, name, _ in pkgutil.walk_packages(lem.__path__, "latentem.") if name not in LACKING]
MODULES = [lem, *(importlib.import_module(name) for name in NAMES if not name.endswith("__main__"))]

NO_NUMPY = ("core", "transform")
TOP = "anything above"


def the_map():
    """CONTRIBUTING's map: for each room, or module at the top, what of the library it imports."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*`) \| .* \| (.*) \|$", text, flags=re.M)
    return {
        name.removesuffix("/").removesuffix(".py"): what
        for names, what in rows
        for name in re.findall(r"`([^`]+)`", names)
    }


MAP = the_map()
ROOMS = {name: set(what.split(", ")) - {"nothing"} for name, what in MAP.items() if what != TOP}


def files_of(room):
    return [*(ROOT / room).rglob("*.py")] or [ROOT / f"{room}.py"]


def test_the_map_is_that_of_the_tree():
    """Every room and every module at the top stands in CONTRIBUTING's map, and the map names no others."""
    there = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert set(MAP) == there - {"__init__", "__main__"}


def imports(path):
    """The modules that a file imports, by their full names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_what_the_map_says(room):
    """Each room imports what the map names, and all that it names; core and transform import no numpy."""
    seen = set()
    for path in files_of(room):
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "latentem" and len(parts) > 1:
                assert parts[1] in ROOMS[room] | {room}, f"{path.name} imports {name}"
                seen.add(parts[1])
            if room in NO_NUMPY:
                assert parts[0] not in ("numpy", "scipy"), f"{path.name} imports {name}"
    assert seen >= ROOMS[room]


def test_no_circle_of_rooms():
    """A room imports only rooms that do not, by whatever way, import it."""
    left = dict(ROOMS)
    while ready := [room for room, needed in left.items() if not needed & set(left)]:
        for room in ready:
            del left[room]
    assert not left


def test_the_core_is_the_standard_library_and_attrs():
    """core imports nothing but the standard library and attrs."""
    for path in (ROOT / "core").glob("*.py"):
        for name in imports(path):
            top = name.split(".")[0]
            assert top in ("attrs", "latentem") or top in sys.stdlib_module_names, f"{path.name} imports {name}"


def test_the_loop_in_the_docs_is_that_of_the_source():
    """docs/mathematics.md quotes the loop of EM, which fits on one screen, line by line."""
    source = inspect.getsource(lem.EM.loop)
    loop = textwrap.dedent(source[source.index("        while True:") :]).strip()
    assert len(loop.splitlines()) <= 40
    quoted = re.findall(r"^```py\n(.*?)^```", (REPOSITORY / "docs" / "mathematics.md").read_text(), flags=re.S | re.M)
    assert [block.strip() for block in quoted] == [inspect.getsource(em.e_and_audit).strip(), loop]


def test_no_protocol_is_unwritten():
    """No hasattr; and outside of transform/ no walk over the layers of a model, no question for one of the library's.

    What a model can do stands in `LatentModel`; what a chunk has, in `Chunk` (tests/test_chunks.py).
    """
    concrete = {
        name
        for name in lem.__all__
        if inspect.isclass(getattr(lem, name))
        and issubclass(getattr(lem, name), lem.LatentModel)
        and getattr(getattr(lem, name), "__final__", False)
    }
    assert {"Mixture", "KMeans", "Frozen"} <= concrete
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "hasattr", f"{path.name}, line {node.lineno}"
                if path.parent.name == "transform":
                    continue
                assert node.func.id not in ("layers", "innermost"), f"{path.name}, line {node.lineno}"
                if node.func.id in ("isinstance", "issubclass"):
                    asked = {name.id for name in ast.walk(node.args[1]) if isinstance(name, ast.Name)}
                    assert not asked & concrete, f"{path.name}, line {node.lineno}"


def own_classes():
    seen = {}
    for module in MODULES:
        for _, cls in inspect.getmembers(module, inspect.isclass):
            if cls.__module__ == module.__name__:
                seen[cls] = module.__name__
    return list(seen)


@pytest.mark.parametrize("cls", own_classes(), ids=lambda c: c.__qualname__)
def test_every_class_is_abstract_or_final(cls):
    """A class is abstract, a protocol, or final, and nothing derives from a final one."""
    final = getattr(cls, "__final__", False)
    abstract = getattr(cls, "_is_protocol", False) or abc.ABC in cls.__mro__
    assert final or abstract
    assert not any(base.__dict__.get("__final__", False) for base in cls.__mro__[1:])


def test_arrays_in_values_are_read_only():
    """Every array inside a fit's parameters, statistics and posterior refuses to be written to."""
    fit = lem.fit(lem.GaussianMixture(2), lem.datasets.old_faithful())
    found = []

    def walk(value):
        if isinstance(value, np.ndarray):
            found.append(value)
        elif attrs.has(type(value)):
            for field in attrs.fields(type(value)):
                walk(getattr(value, field.name))

    for value in (fit.params, fit.expectation, fit.posterior(lem.datasets.old_faithful())):
        walk(value)
    assert len(found) >= 9
    for array in found:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_values_are_compared_with_nan_equal_to_nan():
    """Two values whose arrays hold NaN in the same places are equal."""
    one, other = (lem.Rows([[np.nan, 1.0]]) for _ in range(2))
    assert one == other
    assert one != lem.Rows([[np.nan, 2.0]])


def test_importing_the_library_loads_nothing_optional():
    """`import latentem` in a fresh interpreter loads numpy, scipy, attrs and the standard library, no more."""
    code = "import sys, latentem; print('\\n'.join(sorted({m.split('.')[0] for m in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    loaded = set(done.stdout.split()) - set(sys.stdlib_module_names)
    named = {name for name in loaded if not name.startswith("_")}
    ours = {"numpy", "scipy", "attr", "attrs", "latentem", "cython_runtime", "sitecustomize", "editables"}
    assert named <= ours | {"charset_normalizer"}  # numpy.f2py, which scipy.special loads, takes it where it is


PUBLIC = [lem, *(getattr(lem, name) for name in lem.__all__ if inspect.ismodule(getattr(lem, name)))]


@pytest.mark.parametrize("module", PUBLIC, ids=lambda module: module.__name__)
def test_every_public_name_has_a_docstring(module):
    """Every public name, at the top and in the rooms, and every public method of a public class, is documented."""
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isroutine(value):
            assert inspect.getdoc(value), name
        if inspect.isclass(value) and not getattr(value, "_is_protocol", False):  # these say it of the whole class
            for member, method in inspect.getmembers(value, inspect.isfunction):
                if not member.startswith("_") and method.__module__.startswith("latentem"):
                    assert inspect.getdoc(getattr(value, member)), f"{name}.{member}"


def test_the_top_is_a_table_of_contents():
    """What is at the top is written somewhere in README, docs or examples, once in `__all__`, and no more is listed."""
    places = [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md"), *(REPOSITORY / "examples").glob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in places)
    assert [name for name in lem.__all__ if not re.search(rf"\b{name}\b", text)] == []
    assert len(set(lem.__all__)) == len(lem.__all__)
    assert set(dir(lem)) == {*lem.__all__, "__version__"}


def test_what_comes_back_is_in_the_rooms():
    """Parameters, statistics and States are public in the room that makes them, and not at the top."""
    values = re.compile(r"(Params|Statistics|State|Step|History|Status)$")
    found = {name for room in PUBLIC[1:] for name in room.__all__ if values.search(name)}
    assert found >= {"MixtureParams", "MixtureStatistics", "GaussianParams", "OnlineState", "State", "Step"}
    assert not found & set(lem.__all__)


def test_no_room_is_a_drawer_for_everything():
    """No module is called utils, misc or helpers; a file has from 30 to 300 lines, and a room at most 16 files.

    Compiled loops stand in one file: what numba keeps of them on disk is renewed when that file changes, and no other.
    """
    for room in [ROOT, *(path.parent for path in ROOT.rglob("__init__.py"))]:
        assert len([*room.glob("*.py")]) <= 16, room.name
    for path in ROOT.rglob("*.py"):
        assert path.stem not in ("utils", "misc", "helpers")
        lines = len(path.read_text().splitlines())
        assert lines <= 300 or path == ROOT / "compiled" / "loops.py", f"{path.name} has {lines} lines"
        assert lines >= 30 or path.stem in ("__init__", "__main__"), f"{path.name} has {lines} lines"
