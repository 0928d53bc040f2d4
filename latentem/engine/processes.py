"""An engine of forked processes: chunks side by side without one interpreter to wait for."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import sys
import threading
import traceback
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, final

import numpy as np
from attrs import field, frozen

from latentem.core import Cache, Engine, Placed, chunks_done, tree_sum
from latentem.engine.blas import one_thread
from latentem.engine.local import Here, at_least_one, cores, inside, is_inside

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

X = TypeVar("X")
T = TypeVar("T")
V = TypeVar("V", bound=Any)
_LOG = logging.getLogger(__name__)

_LIVES = 3
"""So many processes lost in a row at the same chunk, and the chunk is taken for the cause."""
_PATIENCE = 1.0
"""Seconds between two looks at whether a worker that says nothing is still there."""
_forking = threading.Lock()
"""Held while a worker's end of a new pipe is open here: another worker, forked then, would keep it open."""


@final
@frozen
class Processes(Engine):
    """Chunks side by side in processes that are forked from this one; the same bits as in one process.

    They see the chunks where they are, without a copy; in a pass the parameters go to each, and its sums come back.
    Threads wait for one another between any two steps of a computation, which costs most where these are short;
    processes do not. One that is lost is forked again. They know the modules as they were at the first
    pass. Chunks that are loaded on demand are computed in threads, for open files do not survive a fork.

    Attributes:
        count: How many processes compute, this one among them; None: as many as this process may use cores.

    Raises:
        ValueError: this system does not fork, or not safely, as Windows and macOS.
    """

    count: int | None = field(default=None, validator=at_least_one)

    def __attrs_post_init__(self) -> None:
        if sys.platform in ("win32", "darwin"):
            lacking = f"processes that can be forked, which {sys.platform} has not"
            raise ValueError(f"{self!r} needs {lacking}: use Threads()")

    def place(self, chunks: Sequence[X]) -> Placed[X]:
        count = cores() if self.count is None else self.count
        import multiprocessing  # a large module, which nothing else needs

        if not isinstance(chunks, list | tuple) or multiprocessing.current_process().daemon:
            return Here(chunks, count)
        return Forked(chunks, max(1, min(count, len(chunks))))


@final
class Forked(Placed[X]):
    """Chunks in memory, in equal stretches: this process has the first of them, and each worker another."""

    __slots__ = ("__weakref__", "_chunks", "_edges", "_lock", "_mine", "_workers")

    def __init__(self, chunks: Sequence[X], count: int) -> None:
        self._chunks, self._lock = chunks, threading.Lock()
        self._edges = [len(chunks) * i // count for i in range(count + 1)]
        self._mine = _Share(chunks[: self._edges[1]])
        self._workers: list[_Worker] = []
        weakref.finalize(self, _stop, self._workers)

    def __len__(self) -> int:
        return len(self._chunks)

    def __iter__(self) -> Iterator[X]:
        return iter(self._chunks)

    def total(self, task: Callable[[X, Cache], V]) -> V:
        return tree_sum(self._answers(task, cached=True))

    def each(self, task: Callable[[X], T]) -> list[T]:
        return self._answers(task, cached=False)

    def _answers(self, task: Callable[..., T], cached: bool) -> list[T]:
        if is_inside():  # this thread works for a pass already, perhaps for one that holds the lock
            return _Share(self._chunks).answers(task, cached)
        with self._lock, one_thread():
            try:
                work = self._work(task)
                for worker in self._workers:
                    worker.ask((work, cached, np.geterr()))
                with inside():
                    answers = self._mine.answers(task, cached, of=len(self))
                for worker in self._workers:  # in the order of the chunks, whoever is ready first
                    answers += worker.answer()
                    chunks_done(len(answers), len(self))
                return answers
            except BaseException:
                _stop(self._workers)  # what they are at is not wanted; the next pass has new ones, with empty caches
                raise

    def _work(self, task: Callable[..., Any]) -> bytes | None:
        """The task as bytes; None if it can't be pickled, so that new workers were forked with it."""
        try:
            work, inherited = pickle.dumps(task), None
        except (pickle.PicklingError, AttributeError, TypeError):
            work, inherited = None, task
            _stop(self._workers)
        if not all(worker.is_mine for worker in self._workers):
            self._workers.clear()  # this process was forked since, by someone else
        if not self._workers:
            for begin, end in zip(self._edges[1:-1], self._edges[2:], strict=True):
                self._workers.append(_Worker(_Share(self._chunks[begin:end]), inherited, self._workers))
        return work


@final
class _Share:
    """Some of the chunks, each with its cache."""

    def __init__(self, chunks: Sequence[Any]) -> None:
        self._chunks = chunks
        self._caches: list[Cache] = [{} for _ in chunks]

    def answers(self, task: Callable[..., Any], cached: bool, of: int = 0) -> list[Any]:
        """The answers for these chunks; whoever looks on is told of each, where they are some `of` so many."""
        answers = []
        for chunk, cache in zip(self._chunks, self._caches, strict=True):
            answers.append(task(chunk, cache) if cached else task(chunk))
            if of:
                chunks_done(len(answers), of)
        return answers


@final
class _Worker:
    """A forked process, as its parent sees it. It is forked again if it is lost."""

    def __init__(self, share: _Share, inherited: Callable[..., Any] | None, others: Sequence[_Worker]) -> None:
        self._share, self._inherited, self._others, self._parent = share, inherited, others, os.getpid()
        self._process: Any = None
        self._asked: Any = None
        self._fork()

    @property
    def is_mine(self) -> bool:
        """Whether this process is its parent."""
        return self._parent == os.getpid()

    def _fork(self) -> None:
        import multiprocessing

        context: Any = multiprocessing.get_context("fork")
        with _forking, warnings.catch_warnings():
            # Python warns of locks that other threads hold as it forks; a worker computes, and takes none of them.
            warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
            self._connection, there = context.Pipe()
            parents = [self._connection, *(other._connection for other in self._others if other is not self)]
            given = (there, parents, self._share, self._inherited)
            process = context.Process(target=_serve, args=given, daemon=True, name="latentem")
            try:
                process.start()
                self._process = process
            finally:
                there.close()

    def ask(self, asked: Any) -> None:
        self._asked = asked
        for _ in range(_LIVES):
            try:
                return self._connection.send(asked)
            except OSError:
                self._replace()
        raise self._lost()

    def answer(self) -> list[Any]:
        for _ in range(_LIVES):
            try:
                received = self._received()
            except (EOFError, OSError):
                self._replace()
                self.ask(self._asked)
            else:
                return self._opened(*received)
        raise self._lost()

    def _received(self) -> tuple[bytes, str | None, list[Any]]:
        while not self._connection.poll(_PATIENCE):
            if not self._process.is_alive() and not self._connection.poll():
                raise EOFError
        return self._connection.recv()

    def _opened(self, answer: bytes, trace: str | None, caught: list[Any]) -> list[Any]:
        for warning in caught:
            warnings.warn_explicit(*warning)
        if trace is None:
            return pickle.loads(answer)
        error = pickle.loads(answer)
        with suppress(AttributeError):  # a frozen error takes no notes
            error.add_note(f"In a forked process:\n{trace}")
        raise error

    def _replace(self) -> None:
        _LOG.info("a process of the engine was lost, and is forked again")
        self.stop()
        self._fork()

    def _lost(self) -> RuntimeError:
        return RuntimeError(
            f"{_LIVES} processes were lost in a row at the same chunks: they may have run out of memory. "
            "Threads() needs less of it."
        )

    def stop(self) -> None:
        process, self._process = self._process, None
        self._connection.close()
        if process is not None and self.is_mine:
            process.kill()
            process.join()


def _stop(workers: list[_Worker]) -> None:
    doomed, workers[:] = workers[:], []  # at once: an interrupt may leave none in the list whose answer is not wanted
    for worker in doomed:
        worker.stop()


def _serve(connection: Connection, parents: list[Connection], share: _Share, inherited: Any) -> None:
    """The loop of a worker: it ends when its parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, who ends this
    for parent in parents:
        parent.close()  # an end that a sibling keeps open would hide that the parent is gone
    with one_thread(), inside():
        while True:
            try:
                work, cached, errors = connection.recv()
                connection.send(_answered(share, inherited if work is None else work, cached, errors))
            except (EOFError, OSError):
                return


def _answered(share: _Share, work: Any, cached: bool, errors: Any) -> tuple[bytes, str | None, list[Any]]:
    """The answers, pickled, or the error that they ended in and its traceback; and what was warned of."""
    trace = None
    with warnings.catch_warnings(record=True) as caught, np.errstate(**errors):
        warnings.simplefilter("always")  # what becomes of them is decided at home
        try:
            task = pickle.loads(work) if isinstance(work, bytes) else work
            answer = pickle.dumps(share.answers(task, cached))
        except BaseException as error:
            trace = "".join(traceback.format_exception(error))
            answer = _sealed(error)
    return answer, trace, [(str(w.message), w.category, w.filename, w.lineno) for w in caught]


def _sealed(error: BaseException) -> bytes:
    """An error as bytes that will be one again; its name and text where it can't travel itself."""
    try:
        sealed = pickle.dumps(error)
        pickle.loads(sealed)
    except Exception:
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
    return sealed


def _forget() -> None:
    """A forked child has none of the threads that were forking."""
    global _forking
    _forking = threading.Lock()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget)
