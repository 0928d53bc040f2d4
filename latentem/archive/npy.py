"""Arrays as bytes, in numpy's own format; what a header claims is compared with what is there before it is believed."""

from __future__ import annotations

import io
import math
from typing import Any, final

import numpy as np
import numpy.typing as npt

from latentem.arrays import own

_KINDS = frozenset(["|b1", "|i1", "|u1", *(f"<{kind}{size}" for kind in "iu" for size in (2, 4, 8)), "<f4", "<f8"])
"""Types of numbers that a file may hold."""
_LONGEST_HEADER = 4096


@final
class BadArray(ValueError):
    """Bytes that are no array of numbers."""


def bytes_of(array: npt.NDArray[Any]) -> bytes:
    """An array as the content of a .npy file: little-endian, in rows.

    Raises:
        TypeError: it does not hold real numbers.
    """
    plain = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
    if plain.dtype.str not in _KINDS:
        raise TypeError(f"an array of type {array.dtype} was given: a file holds whole numbers, booleans and floats")
    file = io.BytesIO()
    np.lib.format.write_array(file, plain, version=(1, 0), allow_pickle=False)
    return file.getvalue()


def array_of(content: bytes) -> npt.NDArray[Any]:
    """The array, read-only, of the content of a .npy file.

    Raises:
        BadArray: the type is not one of numbers, or the header claims another size than there is.
    """
    file = io.BytesIO(content)
    try:
        if np.lib.format.read_magic(file) != (1, 0):
            raise BadArray("an array in another version of numpy's format")
        shape, in_columns, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=_LONGEST_HEADER)
    except BadArray:
        raise
    except Exception as error:  # the header is a Python literal: there is no end to what can be wrong with one
        raise BadArray(f"an array whose header cannot be read ({type(error).__name__})") from None
    if dtype.hasobject or dtype.str not in _KINDS:
        raise BadArray(f"an array of type {dtype}: only numbers are read")
    if in_columns:
        raise BadArray("an array in columns: arrays are written in rows")
    begin, claimed = file.tell(), math.prod(shape) * dtype.itemsize
    if any(length < 0 for length in shape) or claimed != len(content) - begin:
        raise BadArray(f"an array that claims {claimed} bytes, shape {shape}, where there are {len(content) - begin}")
    array = np.frombuffer(content, dtype, offset=begin).reshape(shape)
    return own(array.astype(dtype.newbyteorder("="), order="C", copy=True))  # aligned, as one that was computed
