"""Checkpoints: where a fit stands, in a file that is always whole, so that a killed fit can be taken up again."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import re
import sys
import time
from collections.abc import Mapping, Sequence, Set
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any, final

import attrs
from attrs import frozen

from latentem.archive import BadArchive, Classes, Reading, Writing, pack, unpack
from latentem.core import Degenerate, Numbers
from latentem.run.step import State

_LOG = logging.getLogger(__name__)
INTERVAL = 5.0
"""Seconds between two writes, at least; a step that ends a run is written at once."""
_SHARE = 20
"""Writing takes at most one part in so many of the time: a large state on a slow disk is written less often."""


@final
@frozen
class Standing:
    """Where all the runs of a fit stand.

    Attributes:
        runs: Of each start, the last State that its runner gave, the error of the start, or None before the first.
        order: After the trials, the numbers of the starts from the best to the worst; None before.
        visited: How many of them, in this order, have been taken further.
        left: The numbers of those that were left behind on the way.
        outcome: What the whole fit came to; None while it is under way.
    """

    runs: tuple[State[Any, Any] | Degenerate | None, ...] = ()
    order: tuple[int, ...] | None = None
    visited: int = 0
    left: tuple[int, ...] = ()
    outcome: Any = None

    def __attrs_post_init__(self) -> None:
        numbers = {*(self.order or ()), *self.left}
        if not numbers <= set(range(len(self.runs))) or self.visited < 0:
            raise ValueError("order, visited or left name starts that are not there")


@final
class Checkpoint:
    """A file with the Standing of one fit: it is replaced at once or not at all, whenever the process is killed.

    It is of the same format as a saved fit, and read with the same doubt. What the fit was of is kept beside the
    values and read first, so that the checkpoint of another fit is refused.
    """

    def __init__(self, path: str | os.PathLike[str], library: Classes, **known: Any) -> None:
        """The checkpoint of a fit that is known by all that its answer depends on: model, data, ...

        Values in it are of classes of the library, or of those that stand in the modules of what is given here.
        """
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"checkpoint was given as {path!r}: give the path of a file, or None")
        self._path = Path(path)
        self._fit = {"version": version("latentem"), **{name: digest(value) for name, value in known.items()}}
        self._library, self._known = library, _classes_of(known)
        self._next = time.monotonic() + INTERVAL

    def read(self) -> Standing | None:
        """Where the fit stood, or None where there is no file.

        Raises:
            ValueError: the file is no checkpoint, is damaged, or belongs to another fit; the message says what differs.
        """
        try:
            document, arrays = unpack(self._path)
            fit = document.get("fit")
            if document.get("kind") != "checkpoint" or not isinstance(fit, dict):
                raise BadArchive(f"{self._path} holds something else")
            differ = [name for name in {**fit, **self._fit} if fit.get(name) != self._fit.get(name)]
            if not differ:
                reading = Reading(arrays, self._library, self._known)
                standing = reading.read(document.get("values"), document.get("root"))
                if type(standing) is not Standing:
                    raise BadArchive(f"{self._path} holds a {type(standing).__name__}")
                return standing
        except FileNotFoundError:
            if not self._path.parent.is_dir():
                raise ValueError(f"checkpoint was given as {str(self._path)!r}: there is no such directory") from None
            return None
        except BadArchive as error:
            reason = f"{self._path} is no checkpoint of latentem, or a damaged one: give another path"
            raise BadArchive(f"{reason} ({error})") from error
        other = f"the checkpoint of another fit, which differs in {', '.join(differ)}"
        raise ValueError(f"{self._path} is {other}: give another path, or remove the file")

    @property
    def due(self) -> bool:
        """Whether it is time to write again."""
        return time.monotonic() >= self._next

    def write(self, standing: Standing) -> None:
        """Replace the file; a TypeError if parameters or statistics are of a kind that no file can hold."""
        begun = time.monotonic()
        writing = Writing(self._library, self._known)
        try:
            root = writing.write(standing)
        except TypeError as error:
            needed = f"a checkpoint needs parameters and statistics that can be written to a file ({error})"
            raise TypeError(f"{needed}: make them attrs classes at the top of the module of the model") from error
        document = {"kind": "checkpoint", "fit": self._fit, "root": root, "values": writing.values}
        pack(self._path, document, writing.arrays)
        now = time.monotonic()  # a clock that nobody sets
        _LOG.info("checkpoint %s written: %d bytes in %.2g s", self._path, self._path.stat().st_size, now - begun)
        self._next = now + max(INTERVAL, _SHARE * (now - begun))


def _classes_of(value: Any) -> dict[str, type]:
    """Classes of one's own that a value shows: those of its parts, and what stands beside them in their modules."""
    met: dict[type, None] = {}

    def meet(part: Any) -> None:
        if attrs.has(type(part)):
            for each in attrs.fields(type(part)):
                meet(getattr(part, each.name))
        elif isinstance(part, Mapping):
            for each in part.values():
                meet(each)
        elif isinstance(part, list | tuple):
            for each in part:
                meet(each)
        met.update(dict.fromkeys(type(part).__mro__))

    meet(value)
    modules = [sys.modules[name] for name in dict.fromkeys(kind.__module__ for kind in met) if name in sys.modules]
    beside = [kind for module in modules for kind in list(vars(module).values()) if isinstance(kind, type)]
    found: dict[str, type] = {}
    for kind in [*met, *(kind for kind in beside if attrs.has(kind) or issubclass(kind, Enum))]:
        if kind.__module__.split(".")[0] not in ("latentem", "builtins", "numpy"):
            found.setdefault(kind.__name__, kind)
    return found


def sample(chunks: Sequence[Any]) -> tuple[Any, ...]:
    """The chunks by which data are recognised: all that are in memory; of those on disk, the first and the last."""
    if isinstance(chunks, list | tuple):
        return tuple(chunks)
    return len(chunks), [chunks[i] for i in sorted({0, len(chunks) - 1})]


def digest(value: Any) -> str:
    """A digest of a value, 64 digits: the same in every process, whatever the order of its sets."""
    told = hashlib.sha256()
    _tell(value, told)
    return told.hexdigest()


def _tell(value: Any, told: Any) -> None:
    # The type and the closing bracket keep apart what would read the same: [1, [2]] and [1, 2], 1 and True.
    told.update(f"{type(value).__module__}.{type(value).__qualname__}(".encode())
    if attrs.has(type(value)):
        parts = attrs.fields(type(value))
        _tell_all([(part.name, getattr(value, part.name)) for part in parts if part.eq], told)
    elif isinstance(value, Mapping):
        _tell_all(sorted(value.items(), key=lambda item: digest(item[0])), told)
    elif isinstance(value, Set):
        _tell_all(sorted(value, key=digest), told)
    elif isinstance(value, list | tuple):
        _tell_all(value, told)
    elif isinstance(value, Numbers):
        told.update(f"{value.dtype}{value.shape}".encode())
        told.update(value.tobytes())
    elif isinstance(value, type | FunctionType | BuiltinFunctionType | MethodType):
        told.update(f"{value.__module__}.{value.__qualname__}".encode())
        _tell_function(value, told)
    elif value is None or isinstance(value, str | bytes | int | float):
        told.update(repr(value).encode())
    else:
        try:
            told.update(pickle.dumps(value, protocol=5))
        except (pickle.PicklingError, AttributeError, TypeError):  # its words, without where it lies in this process
            told.update(re.sub(r" at 0x[0-9a-f]+", "", repr(value)).encode())
    told.update(b")")


def _tell_function(function: Any, told: Any) -> None:
    """The parts of a function that its name does not tell: its bound object, its closure, and code without a name."""
    if isinstance(function, MethodType):
        _tell(function.__self__, told)
    if isinstance(function, FunctionType):
        held = [cell.cell_contents for cell in function.__closure__ or ()]
        _tell_all([value for value in held if value is not function], told)
        _tell_all([function.__defaults__, function.__kwdefaults__], told)
        if "<" in function.__qualname__:
            _tell_code(function.__code__, told)


def _tell_code(code: CodeType, told: Any) -> None:
    told.update(code.co_code + repr(code.co_names).encode())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _tell_code(constant, told)
        else:
            _tell(constant, told)


def _tell_all(values: Any, told: Any) -> None:
    for value in values:
        _tell(value, told)
