"""Files that were tampered with: each is an error by its name, before anything in it is used."""

from __future__ import annotations

import io
import json
import os
import stat
import warnings
import zipfile

import kept
import numpy as np
import pytest

import latentem as lem
from latentem.archive import BadArchive
from latentem.archive.container import _member

DOCUMENT = "document.json"


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The bytes of a file that nobody has touched."""
    path = tmp_path_factory.mktemp("sound") / "fit.lem"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lem.fit(lem.GaussianMixture(2), kept.clusters(), n_starts=2, max_steps=5, engine=lem.Serial()).save(path)
    return path.read_bytes()


class Parts:
    """The members of a file, to be changed and written again as `save` writes them."""

    def __init__(self, content):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            self.members = [(name, archive.read(name)) for name in archive.namelist()]
        self.document = json.loads(self.members[0][1])
        self.values = self.document["values"]

    def of(self, name):
        """The fields of the first value of a class."""
        return next(value["fields"] for value in self.values if value.get("class") == name)

    def array(self, said):
        return np.load(io.BytesIO(dict(self.members)[f"arrays/{said['array']}.npy"]), allow_pickle=False)

    def put(self, said, array):
        file = io.BytesIO()
        np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=True)
        self.members[said["array"] + 1] = f"arrays/{said['array']}.npy", file.getvalue()

    def content(self, text=None, kind=zipfile.ZIP_STORED, member=_member, comment=b""):
        said = json.dumps(self.document, separators=(",", ":")) if text is None else text
        file = io.BytesIO()
        with warnings.catch_warnings(), zipfile.ZipFile(file, "w", kind) as archive:
            warnings.simplefilter("ignore", UserWarning)  # of names that are there twice
            for name, content in [(DOCUMENT, said), *self.members[1:]]:
                archive.writestr(member(name), content, kind)
            archive.comment = comment
        return file.getvalue()


def array(name, field, change):
    """A file in which an array was changed."""

    def tampered(parts):
        said = parts.of(name)[field]
        parts.put(said, change(parts.array(said).copy()))
        return parts.content()

    return tampered


def field(name, field, value):
    """A file in which a field has another value."""

    def tampered(parts):
        parts.of(name)[field] = value
        return parts.content()

    return tampered


def said(change):
    """A file whose document was changed."""

    def tampered(parts):
        change(parts.document)
        return parts.content()

    return tampered


def renamed(old, new):
    def tampered(parts):
        parts.members = [(new if name == old else name, content) for name, content in parts.members]
        return parts.content()

    return tampered


def more(name, content=b"x"):
    def tampered(parts):
        parts.members.append((name, content))
        return parts.content()

    return tampered


def header(text):
    """A file with an array whose header says this."""

    def tampered(parts):
        written = text.encode().ljust(117) + b"\n"
        head = b"\x93NUMPY\x01\x00" + len(written).to_bytes(2, "little") + written
        parts.members[1] = parts.members[1][0], head + bytes(64)
        return parts.content()

    return tampered


def link(name):
    member = _member(name)
    if name == "arrays/1.npy":
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


def dated(name):
    member = _member(name)
    member.date_time = (2030, 1, 1, 0, 0, 0)
    return member


def indefinite(covariances):
    covariances[0, 0, 1] = covariances[0, 1, 0] = 1e3
    return covariances


def hole(values):
    values.flat[0] = np.nan
    return values


def bomb(document):
    """Each value holds the one before ten times: 10^12 values from a page of text."""
    for number in range(len(document["values"]), len(document["values"]) + 12):
        items = [{"value": number - 1}] * 10
        document["values"].append({"class": "Parts", "fields": {"values": items}})
    document["root"] = {"value": len(document["values"]) - 1}


def twice(document):
    """A cycle: a value that refers to a later one."""
    document["values"][0]["fields"] = {"shape": {"value": len(document["values"]) - 1}}


def cut(share):
    return lambda parts: parts.content()[: int(share * len(parts.content()))]


def text(change):
    return lambda parts: parts.content(change(json.dumps(parts.document, separators=(",", ":"))))


def flipped(where):
    def tampered(parts):
        content = bytearray(parts.content())
        content[where] ^= 1
        return bytes(content)

    return tampered


HEADER = "{{'descr': {}, 'fortran_order': {}, 'shape': {}, }}"
TAMPERED = {
    "nothing": (lambda parts: b"", "no file that latentem has written"),
    "another file": (lambda parts: b"hello\n" * 99, "no file that latentem has written"),
    "a pickle": (lambda parts: b"\x80\x05cposix\nsystem\nX\x02\x00\x00\x00id\x85R.", "no file that latentem has"),
    "a zip of something else": (lambda parts: parts.content("{}"), "a zip of something else"),
    "an empty zip": (lambda parts: b"PK\5\6" + bytes(18), "no members"),
    "truncated in the middle": (cut(0.5), "no file that latentem has written, or a damaged one"),
    "truncated at the end": (cut(0.999), "no file that latentem has written, or a damaged one"),
    "bytes before": (lambda parts: b"#!/bin/sh\n" + parts.content(), "not what the directory says"),
    "bytes behind": (lambda parts: parts.content() + b"\n", "damaged|belong to no member"),
    "a comment": (lambda parts: parts.content(comment=b"hello"), "belong to no member"),
    "a byte of the document": (flipped(100), "damaged"),
    "a byte of a local header": (flipped(11), "not what the directory says"),
    "a byte of the directory": (flipped(-40), "no plain file|not what|no place|damaged|path|belong"),
    "compressed": (lambda parts: parts.content(kind=zipfile.ZIP_DEFLATED), "is compressed"),
    "a compressed bomb": (
        lambda parts: (parts.members.append(("arrays/99.npy", bytes(1 << 24))), parts.content(None, 8))[1],
        "is compressed|no place",
    ),
    "a link": (lambda parts: parts.content(member=link), "links are not followed"),
    "a date": (lambda parts: parts.content(member=dated), "no plain file without a date"),
    "a name twice": (more("arrays/0.npy"), r"'arrays/0\.npy' is there twice"),
    "the document twice": (more(DOCUMENT), "'document.json' is there twice"),
    "a path with dots": (renamed("arrays/0.npy", "../../etc/passwd"), "leads out of the archive"),
    "an absolute path": (more("/etc/passwd"), "leads out of the archive"),
    "an extra member": (more("notes.txt"), r"'notes\.txt' has no place"),
    "an extra array": (
        lambda parts: more(f"arrays/{len(parts.members) - 1}.npy", parts.members[1][1])(parts),
        "nothing",
    ),
    "a missing array": (lambda parts: (parts.members.pop(), parts.content())[1], "refers to array"),
    "no document": (
        lambda parts: parts.content().replace(b"document.json", b"directory.txt"),
        "'directory.txt' has no",
    ),
    "an unknown version": (said(lambda d: d.update(version=2)), "version 2 of the format.*install a newer one"),
    "a version that is text": (said(lambda d: d.update(version="1")), "version '1' of the format"),
    "another kind": (said(lambda d: d.update(kind="checkpoint")), "holds no fit, but a checkpoint"),
    "a key more": (said(lambda d: d.update(run="id")), "holds no fit"),
    "another root": (said(lambda d: d.update(root=3)), "holds no fit, but a int"),
    "a key twice": (text(lambda t: t.replace('"kind":"fit"', '"kind":"fit","kind":"fit"')), "says something twice"),
    "no JSON": (text(lambda t: t[:-1]), "cannot be read"),
    "a constant": (text(lambda t: t.replace('"version":1', '"version":NaN')), "NaN, which is no JSON"),
    "nested too deeply": (text(lambda t: "[" * 100_000), "nested too deeply"),
    "a number of a million digits": (text(lambda t: t.replace('"version":1', '"version":' + "9" * 10**6)), "cannot be"),
    "values without end": (said(bomb), "unfold to more than|no Parts can be made"),
    "a value that holds itself": (said(twice), "which is no value"),
    "an array of 8 TiB": (header(HEADER.format("'<f8'", False, (1 << 40,))), "claims 8796093022208 bytes"),
    "an array larger than numbers": (header(HEADER.format("'<f8'", False, (1 << 62, 1 << 62))), "claims"),
    "an array of negative size": (header(HEADER.format("'<f8'", False, (-8,))), "claims|header"),
    "an array of objects": (header(HEADER.format("'|O'", False, (8,))), "array of type object"),
    "an array of text": (header(HEADER.format("'<U2'", False, (8,))), "only numbers"),
    "an array of records": (header(HEADER.format("[('a', '<f8')]", False, (8,))), "only numbers"),
    "an array of complex numbers": (header(HEADER.format("'<c16'", False, (4,))), "only numbers"),
    "an array in columns": (header(HEADER.format("'<f8'", True, (8,))), "in columns"),
    "an array whose header is code": (header("__import__('os').system('id')"), "header cannot be read"),
    "no array": (lambda parts: (parts.members.__setitem__(1, ("arrays/0.npy", b"x")), parts.content())[1], "header"),
    "an indefinite covariance": (array("GaussianParams", "covariances", indefinite), "not positive definite"),
    "NaN in the means": (array("GaussianParams", "means", hole), "GaussianParams can be made|hold NaN"),
    "NaN in the weights": (array("MixtureParams", "weights", hole), "MixtureParams can be made|hold NaN"),
    "NaN in the statistics": (array("Moments", "first", hole), "its objective is"),
    "weights that sum to two": (array("MixtureParams", "weights", lambda w: 2 * w), "MixtureParams can be made"),
    "means of integers in two bytes": (array("GaussianParams", "means", lambda m: m.astype(">i2")), "only numbers"),
    "means of one component more": (array("GaussianParams", "means", lambda m: np.vstack([m, m])), "can be made"),
    "other means": (array("GaussianParams", "means", lambda m: m + 1), "its objective is"),
    "another number of components": (field("GaussianMixture", "k", 3), "not those of GaussianMixture"),
    "a fraction of a component": (field("GaussianMixture", "k", 2.5), "k of|GaussianMixture can be made"),
    "text for a number": (field("Expectation", "entropy", "high"), "entropy of Expectation is 'high'"),
    "NaN for the entropy": (field("Expectation", "entropy", {"float": "nan"}), "its objective is"),
    "text for a status": (field("Fit", "status", "converged"), "status of Fit is 'converged'"),
    "a number for the parameters": (field("Fit", "params", 1), "not those of GaussianMixture"),
    "no model": (field("Fit", "model", None), "model of Fit"),
    "an unknown field": (field("Fit", "command", "id"), "Fit has no field 'command'"),
    "an unknown class": (said(lambda d: d["values"][0].update({"class": "Popen"})), "a Popen, which is no class"),
    "a class of one's own": (
        said(lambda d: d["values"].insert(0, {"own": "os.system", "fields": {}})),
        "a class of one's own",
    ),
    "no history": (
        said(
            lambda d: next(v for v in d["values"] if v.get("class") == "History")["fields"].update(steps=[], length=0)
        ),
        "belongs to nothing|no steps",
    ),
    "a history that is too long": (
        said(lambda d: next(v for v in d["values"] if v.get("class") == "History")["fields"].update(length=1 << 40)),
        "History",
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_tampered_file_is_refused_by_name(tmp_path, sound, name):
    """Whatever was changed, loading is a BadArchive that says what; no warning, no other error, and the file stays."""
    tamper, message = TAMPERED[name]
    content, path = tamper(Parts(sound)), tmp_path / "fit.lem"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BadArchive, match=message) as caught:
            lem.load(path)
    assert "fit.lem" in str(caught.value)
    assert path.read_bytes() == content


def test_a_file_that_is_written_again_unchanged_loads(tmp_path, sound):
    """The tests above change what they say and no more: without a change, the same bytes come out."""
    assert Parts(sound).content() == sound


def test_no_changed_byte_goes_unseen_or_breaks_out(tmp_path, sound):
    """Any bit of a file flipped is a BadArchive, or the same fit; no other error, no hang."""
    path, random = tmp_path / "fit.lem", np.random.default_rng(0)
    path.write_bytes(sound)
    whole = repr(lem.load(path).params)
    for place in [*range(64), *random.integers(len(sound), size=300), *range(len(sound) - 64, len(sound))]:
        content = bytearray(sound)
        content[place] ^= 1 << int(random.integers(8))
        path.write_bytes(content)
        try:
            assert repr(lem.load(path).params) == whole
        except BadArchive:
            continue


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_pipe_is_no_file(tmp_path):
    """What could keep a reader waiting for ever is refused."""
    os.mkfifo(tmp_path / "fit.lem")
    with pytest.raises(BadArchive, match="is no file"):
        lem.load(tmp_path / "fit.lem")
