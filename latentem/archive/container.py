"""The file: a zip of stored members, one JSON document and then arrays, the same bytes for the same content."""

from __future__ import annotations

import json
import os
import secrets
import stat
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, final

import numpy.typing as npt

from latentem.archive.npy import BadArray, array_of, bytes_of

FORMAT, VERSION = "latentem archive", 1
DOCUMENT = "document.json"
_DATE = (1980, 1, 1, 0, 0, 0)
"""Of every member: the earliest that a zip can say."""
_MODE = (stat.S_IFREG | 0o600) << 16
_LARGEST_DOCUMENT = 1 << 28
"""Bytes of a document, at most; what is large stands in arrays."""
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL, _ENDS = 46, (22, 22 + 56 + 20)
"""Bytes of a directory entry beside its name, and of what follows the directory, without and with large members."""


@final
class BadArchive(ValueError):
    """A file that is no archive of this library, is damaged, or was tampered with; nothing of it was used."""


def pack(path: str | os.PathLike[str], document: Mapping[str, Any], arrays: Sequence[npt.NDArray[Any]]) -> None:
    """Write a file, whole or not at all: beside its place, to the disk, and then into its place at once.

    Raises:
        OSError: there is no such directory, or the disk is full; a file that was there is there still.
    """
    place = Path(os.path.realpath(path))
    head = {"format": FORMAT, "version": VERSION, **document}
    text = json.dumps(head, allow_nan=False, separators=(",", ":")).encode("ascii")
    # A name of its own: another process may write the same file, and a user have one called .new.
    beside = place.with_name(f".{place.name}.{secrets.token_hex(8)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with open(descriptor, "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                archive.writestr(_member(DOCUMENT), text)
                for number, array in enumerate(arrays):
                    archive.writestr(_member(_name(number)), bytes_of(array))
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, place)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def unpack(path: str | os.PathLike[str]) -> tuple[dict[str, Any], list[npt.NDArray[Any]]]:
    """The document and the arrays of a file, both looked through; the arrays are read-only.

    Raises:
        FileNotFoundError: there is no file.
        BadArchive: it is not one that `pack` could have written, or of a version that is not known here.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise BadArchive(f"{path} is no file: give the path of one that `save` has written")
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                _check_members(archive, file)
                members = archive.infolist()
                document = _document(archive.read(members[0]))
                arrays = [array_of(archive.read(member)) for member in members[1:]]
        except BadArchive as error:
            raise BadArchive(f"{path}: {error}") from None
        except BadArray as error:
            raise BadArchive(f"{path} holds {error}") from None
        except (zipfile.BadZipFile, struct.error, EOFError, NotImplementedError, ValueError, MemoryError) as error:
            reason = f"{path} is no file that latentem has written, or a damaged one ({error})"
            raise BadArchive(f"{reason}: write it again") from error
    return document, arrays


def _name(number: int) -> str:
    return f"arrays/{number}.npy"


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _DATE)
    member.create_system, member.external_attr = 3, _MODE  # what a member says of itself on every machine
    return member


def _check_members(archive: zipfile.ZipFile, file: IO[bytes]) -> None:
    """Refuse members other than those that `pack` writes: in number, name, order, place, kind and size."""
    members = archive.infolist()
    names = [member.orig_filename for member in members]
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise BadArchive(f"the member {name!r} is there twice")
        seen.add(name)
        if ".." in name or name.startswith(("/", "\\")) or "\0" in name:
            raise BadArchive(f"the member {name!r} has a path that leads out of the archive")
    wanted = [DOCUMENT, *map(_name, range(len(names) - 1))]
    if names != wanted:
        odd = next((name for name, want in zip(names, wanted, strict=False) if name != want), None)
        raise BadArchive(f"the member {odd!r} has no place in it" if names else "it has no members")
    end, directory = 0, 0
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise BadArchive(f"the member {member.filename!r} is compressed: members are stored as they are")
        known = (member.date_time, member.external_attr, member.internal_attr, member.create_system)
        if known != (_DATE, _MODE, 0, 3) or member.flag_bits or member.comment:
            raise BadArchive(f"the member {member.filename!r} is no plain file without a date: links are not followed")
        end = _local_end(member, end, file)
        directory += _CENTRAL + len(member.orig_filename) + len(member.extra)
    size = file.seek(0, os.SEEK_END)
    if archive.comment or size - end - directory not in _ENDS:
        raise BadArchive("it holds bytes that belong to no member")
    if members[0].file_size > _LARGEST_DOCUMENT:
        raise BadArchive(f"its document has {members[0].file_size} bytes: at most {_LARGEST_DOCUMENT} are read")


def _local_end(member: zipfile.ZipInfo, begin: int, file: IO[bytes]) -> int:
    """Where a member ends that begins at `begin` and says there what the directory says of it."""
    name = member.orig_filename.encode()
    file.seek(begin)
    signature, _, *said, named, extra = _LOCAL.unpack(file.read(_LOCAL.size))
    large = extra == 20 and member.file_size >= 1 << 30
    sizes = [0xFFFFFFFF] * 2 if large else [member.file_size] * 2
    date = (_DATE[0] - 1980) << 9 | _DATE[1] << 5 | _DATE[2]
    same = member.header_offset == begin and signature == b"PK\3\4" and said == [0, 0, 0, date, member.CRC, *sizes]
    if not same or named != len(name) or file.read(named) != name or not (large or extra == 0):
        raise BadArchive(f"the member {member.filename!r} is not what the directory says of it")
    return begin + _LOCAL.size + named + extra + member.file_size


def _document(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content, object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError:
        raise BadArchive("its document is nested too deeply") from None
    except BadArchive:
        raise
    except ValueError as error:
        raise BadArchive(f"its document cannot be read ({error})") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise BadArchive("it is a zip of something else: give a file that `save` has written")
    if type(found.get("version")) is not int or found["version"] != VERSION:
        given = f"it has version {found.get('version')!r} of the format"
        raise BadArchive(f"{given}: this latentem reads up to version {VERSION}; install a newer one")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadArchive("its document says something twice")
    return found


def _no_constant(name: str) -> Any:
    raise BadArchive(f"its document holds {name}, which is no JSON")
