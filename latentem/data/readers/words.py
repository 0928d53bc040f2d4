"""Words in the columns of a file: which there are, and the numbers that stand for them."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from latentem.arrays import Array

Words = tuple[str, ...] | None
"""What a column of text holds, in the order of its codes 0, 1, ...; None of a column of numbers."""
Known = Mapping[str, Words]
"""The columns that may hold text, by name, with their words; None: those that are found in the file."""
_MANY = 2**16
"""Different words of a column from which on they are hardly categories."""
_BRIEF = reprlib.Repr()
_BRIEF.maxstring, _BRIEF.maxlist = 60, 40


def known_words(given: Any) -> Known:
    """The columns of text as they were asked for: names, or names with the words of each in the order of their codes.

    Raises:
        TypeError, ValueError: they are something else, or a word is there twice.
    """
    how = "give a list of names of columns, or a dict of names to the words of each in the order of their codes"
    if isinstance(given, str) or not isinstance(given, Collection) or not all(isinstance(name, str) for name in given):
        raise TypeError(f"categorical was given as {given!r}: {how}")
    if not isinstance(given, Mapping):
        return dict.fromkeys(given)
    known = {name: words if words is None else tuple(words) for name, words in given.items()}
    for name, words in known.items():
        if words is not None and (
            not words or len(set(words)) < len(words) or not all(isinstance(w, str) for w in words)
        ):
            raise ValueError(f"the words of column {name!r} were given as {_BRIEF.repr(list(words))}: {how}, each once")
    return known


def stranger(where: str, word: str, known: Sequence[str]) -> ValueError:
    """The error that a word, at this place, is none of those that are known."""
    return ValueError(
        f"{where} holds {_BRIEF.repr(word)}: {categories_are(known)}; leave out such rows, make the cell a missing "
        "one, or fit again with data that have it"
    )


def categories_are(known: Sequence[str]) -> str:
    """The known words of a column, as a part of a sentence."""
    return f"the categories there are {_BRIEF.repr(list(known))}"


def distinct(
    parts: Iterable[Sequence[Iterable[str]]], names: Sequence[str], is_number: Callable[[str], bool]
) -> list[Words]:
    """What some columns hold, sorted; None where all of it is numbers.

    Args:
        parts: Of each stretch of rows, for each column, the words in it that are not missing.
        names: Of the columns.
        is_number: Whether a word is a number.

    Raises:
        ValueError: a column has no value at all, or so many words that they are no categories.
    """
    found: list[set[str] | None] = [set() for _ in names]
    for part in parts:
        for i, (name, words) in enumerate(zip(names, part, strict=True)):
            if (mine := found[i]) is None:
                continue
            mine.update(words)
            if len(mine) > _MANY:
                if not all(map(is_number, mine)):
                    raise ValueError(
                        f"column {name!r} holds more than {_MANY} different words, which are hardly categories: leave "
                        "it out, or keep it as names of the rows (--id on the command line)"
                    )
                found[i] = None  # numbers; a word that comes yet is refused where it is read
    if empty := [name for name, mine in zip(names, found, strict=True) if mine is not None and not mine]:
        raise ValueError(f"column {empty[0]!r} has no value at all: leave it out")
    return [None if mine is None or all(map(is_number, mine)) else tuple(sorted(mine)) for mine in found]


def arrow_words(column: Any, spelled: Callable[[str], str | None] = str) -> set[str]:
    """The different words of an Arrow column of text; `spelled` makes of a cell its word, or None if it is missing."""
    words = {spelled(cell) for chunk in column.chunks for cell in _coded(chunk).dictionary.to_pylist()}
    return {word for word in words if word is not None}


def arrow_codes(column: Any, known: Sequence[str], where: str, spelled: Callable[[str], str | None] = str) -> Array:
    """An Arrow column of text as codes, shape (n,), NaN where a cell is missing.

    Raises:
        ValueError: a word is not known; the message says where.
    """
    numbers = {word: float(i) for i, word in enumerate(known)}
    parts = [np.empty(0)]
    for chunk in map(_coded, column.chunks):
        used = chunk.indices.cast("int64").fill_null(-1).to_numpy(zero_copy_only=False)
        words = [spelled(cell) for cell in chunk.dictionary.to_pylist()]
        codes = np.array([np.nan if word is None else numbers.get(word, -1.0) for word in words] + [np.nan])
        parts.append(codes[used])
        if (parts[-1] == -1).any():
            raise stranger(where, words[used[int((parts[-1] == -1).argmax())]] or "", known)
    return np.concatenate(parts)


def _coded(chunk: Any) -> Any:
    """A stretch of an Arrow column as numbers of words in a dictionary."""
    return chunk.dictionary_encode()  # of what is one already it is the same
