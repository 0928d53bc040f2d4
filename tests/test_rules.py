"""The rules that keep the library simple, held by tests."""

from __future__ import annotations

import abc
import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import attrs
import numpy as np
import pytest

import latentem as lem

ROOT = Path(lem.__file__).parent
NAMES = [module.name for module in pkgutil.walk_packages(lem.__path__, "latentem.")]
MODULES = [lem, *(importlib.import_module(name) for name in NAMES if not name.endswith("__main__"))]

ALLOWED = {
    "core": set(),
    "transform": {"core"},
    "engine": {"core"},
    "run": {"core", "arithmetic"},
    "posterior": {"core", "arrays"},
    "data": {"core", "arrays"},
    "family": {"core", "arrays", "rng"},
    "model": {"core", "arrays", "rng", "posterior", "family", "data"},
}
NO_NUMPY = ("core", "transform")


def imports(path):
    """The modules that a file imports, by their full names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("layer", ALLOWED)
def test_layers_import_only_what_lies_below_them(layer):
    """Each layer imports only the layers that it may; core and transform import no numpy."""
    for path in (ROOT / layer).glob("*.py"):
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "latentem" and len(parts) > 1:
                assert parts[1] in ALLOWED[layer] | {layer}, f"{path.name} imports {name}"
            if layer in NO_NUMPY:
                assert parts[0] not in ("numpy", "scipy"), f"{path.name} imports {name}"


def test_the_core_is_the_standard_library_and_attrs():
    """core imports nothing but the standard library and attrs."""
    for path in (ROOT / "core").glob("*.py"):
        for name in imports(path):
            top = name.split(".")[0]
            assert top in ("attrs", "latentem") or top in sys.stdlib_module_names, f"{path.name} imports {name}"


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
    assert named <= {"numpy", "scipy", "attr", "attrs", "latentem", "cython_runtime", "sitecustomize", "editables"}


def test_every_public_name_has_a_docstring():
    """Every public name, and every public method of a public class, is documented, or inherits its documentation."""
    for name in lem.__all__:
        value = getattr(lem, name)
        assert inspect.getdoc(value), name
        if inspect.isclass(value):
            for member, method in inspect.getmembers(value, inspect.isfunction):
                if not member.startswith("_") and method.__module__.startswith("latentem"):
                    assert inspect.getdoc(getattr(value, member)), f"{name}.{member}"


def test_no_room_is_a_drawer_for_everything():
    """No module is called utils, misc or helpers, and a file fits on a few screens."""
    for path in ROOT.rglob("*.py"):
        assert path.stem not in ("utils", "misc", "helpers")
        assert len(path.read_text().splitlines()) <= 420, path.name
