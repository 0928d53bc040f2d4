"""CSV files are read as they are meant, or refused by file, line, column and cell."""

import sys

import numpy as np
import pytest

import latentem as lem
from latentem.data.readers.reader import Table


def read_table(path, columns=None, **options):
    """All of a file at once, as a Table."""
    chunk = lem.data.chunk_of(lem.Rows, lem.data.source(path, columns=columns, **options), missing=True)
    return Table(chunk.x, lem.data.source(path, columns=columns, **options).columns)


@pytest.fixture
def write(tmp_path):
    def written(content):
        path = tmp_path / "data.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,2\n3,4\n",
        "a,b\n1,2\n3,4",
        "a,b\r\n1,2\r\n3,4\r\n",
        "a,b\r1,2\r3,4\r",
        b"\xef\xbb\xbfa,b\n1,2\n3,4\n",
        b'\xef\xbb\xbf"a","b"\n1,2\n3,4\n',
        "a,b\n1,2\n3,4\n\n  \n\r\n",
        "\n\na,b\n1,2\n3,4\n",
        '"a","b"\n"1","2"\n"3","4"\n',
        'a, "b"\n 1 , 2\n+3.0,\t.4e1\n',
        'a,"\nb "\n1,2\n3,4\n',
    ],
)
def test_the_same_table_in_any_dress_reads_the_same(write, content):
    """Byte order mark, line ends, quotes, spaces and blank lines at the ends change nothing."""
    table = read_table(write(content))
    assert table == Table([[1.0, 2.0], [3.0, 4.0]], ("a", "b"))


def test_rows_without_a_header_are_numbered_from_one(write):
    """A first row of numbers is data, and its columns are called by their numbers."""
    table = read_table(write("1.5,-2e3\n3,4\n"))
    assert table == Table([[1.5, -2000.0], [3.0, 4.0]], ("column 1", "column 2"))


def test_header_can_be_said(write):
    """header=True makes names of numbers, and header=False takes the first row for data."""
    path = write("2019,2020\n1,2\n")
    assert read_table(path, header=True) == Table([[1.0, 2.0]], ("2019", "2020"))
    assert read_table(path, header=False).shape == (2, 2)


def test_chosen_columns_come_in_their_order_and_the_others_may_hold_anything(write):
    """Columns are chosen by name, or by number where there is no header."""
    assert read_table(write("a,b,c\n1,x,3\n4,,6\n"), ["c", "a"]) == Table([[3.0, 1.0], [6.0, 4.0]], ("c", "a"))
    table = read_table(write("1,x,3\n4,y,6\n"), ["3", "1"], header=False)
    assert table == Table([[3.0, 1.0], [6.0, 4.0]], ("column 3", "column 1"))


@pytest.mark.parametrize("delimiter", [";", "\t", "|", " "])
def test_any_one_character_delimits(write, delimiter):
    """The delimiter is the given one, and no other."""
    table = read_table(write("a,b\n1,2\n3,4\n".replace(",", delimiter)), delimiter=delimiter)
    assert table == Table([[1.0, 2.0], [3.0, 4.0]], ("a", "b"))


def test_numbers_read_back_to_the_last_bit(write):
    """A float written with repr is read as the same float."""
    x = np.random.default_rng(1).normal(size=(200, 3)) * 10.0 ** np.arange(-150, 150, 100)
    text = "\n".join(",".join(map(repr, row)) for row in x.tolist())
    assert (read_table(write(text)).values == x).all()


@pytest.mark.parametrize("cell", ["1_000", "0x1f", "setosa", "1.5.0", "1,5"])
def test_a_cell_that_is_no_number_is_named(write, cell):
    """The message names the file, the line of the file, the column, the cell, and what to do."""
    path = write(f"a;b\n1;2\n1;{cell}\n3;4\n")
    with pytest.raises(ValueError, match="correct it, leave out the line, or choose other columns") as error:
        read_table(path, delimiter=";")
    assert str(error.value).startswith(f"{path}: line 3, column 'b': {cell!r} is no finite number")


@pytest.mark.parametrize("cell", ["", "NA", "nan", "null", "?", "n/a", " None ", '""'])
def test_a_missing_cell_is_nan(write, cell):
    """An empty cell, and each of the words for nothing, is a missing value."""
    table = read_table(write(f"a,b\n1,2\n1,{cell}\n3,4\n"))
    assert np.array_equal(table.values, [[1.0, 2.0], [1.0, np.nan], [3.0, 4.0]], equal_nan=True)


@pytest.mark.parametrize("cell", ["inf", "-Infinity", "1e999"])
def test_infinity_is_refused_with_its_row(write, cell):
    """What is beyond the numbers is refused by row and column."""
    with pytest.raises(ValueError, match=r"row 1 of data\.csv, column 'b' is -?inf: every value must be finite"):
        read_table(write(f"a,b\n1,2\n1,{cell}\n3,4\n"))


def test_a_decimal_comma_is_no_number_unless_it_is_said(write):
    """3,6 is refused, not read as 36, and the message says how to read it."""
    path = write("a;b\n3,6;79\n")
    with pytest.raises(
        ValueError, match=r"line 2, column 'a': '3,6' is no finite number such as -1234\.5.*--decimal ,"
    ):
        read_table(path, delimiter=";")
    assert read_table(path, decimal=",") == Table([[3.6, 79.0]], ("a", "b"))


@pytest.mark.parametrize("arrow", [True, False])
def test_decimal_commas_and_encodings_are_read(write, monkeypatch, arrow):
    """With pyarrow and without it, and whatever the encoding, the same numbers and names come out."""
    if not arrow:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
    text = 'größe;ж\n1,5;-2e3\n"0,25";NA\n;"3"\n'
    expected = [[1.5, -2000.0], [0.25, np.nan], [np.nan, 3.0]]
    for encoding in ("utf-8", "utf-8-sig", "iso8859-5", "cp1251", "koi8-r"):
        if encoding[:3] != "utf":
            text = text.replace("ö", "o").replace("ß", "s")
        table = read_table(write(text.encode(encoding)), decimal=",", encoding=encoding)
        assert table.columns == (text.split(";")[0], "ж")
        assert np.array_equal(table.values, expected, equal_nan=True)


def test_points_between_decimal_commas_are_refused(write):
    """1.234,5 might be one number or another: it is refused, by its cell."""
    with pytest.raises(ValueError, match=r"line 2, column 'a': '1\.234,5' is no finite number such as -1234,5"):
        read_table(write("a;b\n1.234,5;1\n"), decimal=",")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decimal": ";"}, "decimal was given as ';': give a point or a comma"),
        ({"decimal": ",", "delimiter": ","}, "',' was given as delimiter and as decimal"),
        ({"encoding": "utf-5"}, "encoding was given as 'utf-5': give one such as utf-8"),
        ({"encoding": "utf-16"}, "lines cannot be found in it; save it as UTF-8"),
        ({"kind": "xlsx"}, "kind was given as 'xlsx', which is of no known kind: give a file that ends in .npy"),
        ({"kind": "npy"}, "holds no table of real numbers"),
    ],
)
def test_options_that_say_nothing_are_refused(write, options, message):
    """Each mark, encoding and kind that is none is named, with what is allowed."""
    with pytest.raises(ValueError, match=message):
        read_table(write("a,b\n1,2\n"), **options)


def test_the_kind_of_a_file_can_be_said(write, tmp_path):
    """A file whose name ends in something else is read as what it is said to be."""
    path = write("a\tb\n1\t2\n").rename(tmp_path / "data.dat")
    assert read_table(path, kind="tsv") == Table([[1.0, 2.0]], ("a", "b"))
    with pytest.raises(ValueError, match="or that as its kind"):
        read_table(path)


def test_lines_are_those_of_the_file(write):
    """Blank lines before the rows and rows of several lines are counted as an editor counts them."""
    with pytest.raises(ValueError, match="line 6, column 'b': 'x'"):
        read_table(write('\n\n"a\nname",b\n1,2\n1,x\n'))


@pytest.mark.parametrize(
    ("content", "columns", "message"),
    [
        ("", None, "the file is empty"),
        ("\n \n\n", None, "the file is empty"),
        ("a,b\n", None, "line 1 is the header, and no row follows it"),
        (
            "a,1\n1,2\n",
            None,
            "line 1 may be a header or not, 1 of its 2 cells.*say which, with --header or --no-header",
        ),
        ("NA\n1\n", None, "line 1 may be a header or not, 0 of its 1 cells"),
        ("a,b,a\n1,2,3\n", ["b"], "line 1, the header, has 'a' twice"),
        ("a,b\n1,2\n1,2,3\n", None, "line 3 is 3 wide and the first row 2"),
        ("a,b\n1\n", None, "line 2 is 1 wide and the first row 2"),
        ("a\n1\n\n3\n", None, "line 3 is blank, and rows follow it"),
        ('a,b\n1,"2\n3,4\n', None, "the row that begins in line 2 cannot be read.*check its quotes"),
        (b"a,b\n1,\xe9\n", None, "the byte 0xe9 is not UTF-8: give the encoding of the file with --encoding"),
        ("a,b\n1,2\n".encode("utf-16"), None, "the byte 0xff is not UTF-8"),
        ("1,2\nx,4\n", None, "line 2, column 1: 'x' is no finite"),
        (",b\n1,2\n", None, r"column '' has no name: choose with --columns from \['', 'b'\]"),
        ("a,b\n1,2\n", ["c"], r"column 'c' is not there: choose with --columns from \['a', 'b'\]"),
        ("a,b\n1,2\n", ["1"], r"column '1' is not there: choose with --columns from \['a', 'b'\]"),
        ("a,b\n1,2\n", ["b", "b"], r"column 'b' was chosen twice: choose with --columns from \['a', 'b'\]"),
        ("a,b\n1,2\n", [], "column '' has no name"),
        ("1,2\n", ["3"], r"column '3' is not there: choose with --columns from \['1', '2'\]"),
        ("1,2\n", ["0"], "column '0' is not there"),
        ("a;b\n1;2\n", None, "if ';' stands between the cells, give --delimiter ';'"),
        ("a;b\n1,5;2\n", None, "if ';' stands between the cells, give --delimiter ';'"),
        ("1,5;2,5\n", None, "line 1 may be a header.*if ';' stands between the cells"),
        ("a\tb\n1\t2\n", ["a"], r"if '\\t' stands between the cells, give --delimiter '\\t'"),
        ("3.6 79\n1.8 54\n", None, "if ' ' stands between the cells, give --delimiter ' '"),
    ],
)
def test_what_is_no_table_is_refused_by_name(write, content, columns, message):
    """Each way in which a file is no table has its own message, which begins with the file."""
    path = write(content)
    with pytest.raises(ValueError, match=message) as error:
        read_table(path, columns)
    assert str(error.value).startswith(f"{path}: ")


def test_a_long_cell_is_quoted_in_part(write):
    """A message stays a line that can be read."""
    with pytest.raises(ValueError, match=r"xxx\.\.\.xxx") as error:
        read_table(write("a,b\n1," + "x" * 5000 + "\n"))
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n"])
def test_a_delimiter_is_one_character(write, delimiter):
    """Any other delimiter is refused."""
    with pytest.raises(ValueError, match=r"delimiter was given as .*: give one character"):
        read_table(write("a,b\n1,2\n"), delimiter=delimiter)


def test_a_file_that_cannot_be_opened_is_an_os_error(tmp_path):
    """A missing file and a directory are what the system calls them."""
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "nowhere.csv")
    with pytest.raises(OSError, match=r"directory|denied"):
        read_table(tmp_path, kind="csv")


def test_fit_takes_a_table_with_its_names(write):
    """The names of a Table come out in the fit, and its values are neither copied nor changed."""
    x = lem.datasets.old_faithful()
    table = Table(x, ("eruption", "waiting"))
    fit = lem.fit(lem.GaussianMixture(2), table, start=(x[:, 1] > 68).astype(int))
    assert fit.columns == ("eruption", "waiting")
    assert "waiting: mean" in str(fit)
    assert (table.values == x).all()
    assert np.shares_memory(np.asarray(table), table.values)
    assert fit.predict(table).shape == (272,)
