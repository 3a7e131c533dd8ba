# SPDX-License-Identifier: Apache-2.0
"""ndbuf.open: .npy and raw files, mapped."""
import os
import pathlib
import struct

import machine
import pytest

import ndbuf


def npy(descr, shape, data, fortran=False, version=(1, 0), more=""):
    """The bytes of a .npy file."""
    header = ("{'descr': %s, 'fortran_order': %s, 'shape': %s, %s}" % (descr, fortran, shape, more)).encode("utf-8")
    width = "<H" if version[0] == 1 else "<I"
    header += b" " * (-(8 + struct.calcsize(width) + len(header) + 1) % 64) + b"\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack(width, len(header)) + header + data


@pytest.fixture
def file(tmp_path):
    def make(content):
        path = tmp_path / "file"
        path.write_bytes(content)
        return path
    return make


SHORTS = struct.pack(">6h", *range(6))


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("fortran", [False, True])
def test_a_npy_file_says_what_is_in_it(file, version, fortran):
    with ndbuf.open(file(npy("'>i2'", (2, 3), SHORTS, fortran, version))) as view:
        assert view.tolist() == ([[0, 2, 4], [1, 3, 5]] if fortran else [[0, 1, 2], [3, 4, 5]])
        assert view.format == ">h" and view.readonly and view.f_contiguous == fortran
    assert view.released


def test_records_and_names_beyond_ascii(file):
    descr = "[('n\xe4me', '<i2'), ('', '|V2'), ('pos', [('x', '<f4'), ('y', '<f4')], (2,))]"
    item = struct.pack("<hxx4f", 7, 1, 2, 3, 4)
    view = ndbuf.open(file(npy(descr, (1,), item, version=(3, 0))))
    assert view.tolist() == [(7, [(1.0, 2.0), (3.0, 4.0)])] and view["n\xe4me"][0] == 7


@pytest.mark.parametrize("shape, data", [((), SHORTS[:2]), ((0,), b""), ((3, 0), b""), ((2, 3), SHORTS + b"more")])
def test_shapes_of_every_kind(file, shape, data):
    view = ndbuf.open(file(npy("'<i2'", shape, data)))
    assert view.shape == shape and view.nbytes == 2 * (6 if shape == (2, 3) else shape == ())


@pytest.mark.parametrize("descr, format", [
    ("'<M8[ns]'", "8x::"), ("'>m8[25s]'", "8x::"), ("'<M8'", "8x::"), ("'>f16'", "16x::"), ("'|V6'", "6x::"),
    ("'i2'", "=h"), ("u'<i2'", "<h"), ("[('a', ('<i2', (2,)))]", "T{(2)<h:a:}"),
    ("[('a', ('>i2', 2), [3])]", "T{(3,2)>h:a:}"), ("[('a', 'i2', ())]", "T{=h:a:}"),
    ("[('t', '<m8[s]'), ('x', '<f4')]", "T{8x:t:<f:x:}"), ("[(('a title', 'a'), '<i2')]", "T{<h:a:}"),
])
def test_descrs_of_every_kind(file, descr, format):
    expected = ndbuf.view(bytes(range(32))).cast("B")[:ndbuf.empty(0, format).itemsize].cast(format)
    view = ndbuf.open(file(npy(descr, (1,), bytes(range(32)))))
    assert view.format == expected.format and view.tolist() == expected.tolist()


@pytest.mark.parametrize("descr", ["'|S0'", "'<U0'", "'|V0'", "[]", "[('a', '|V0')]"])
@pytest.mark.parametrize("mode", ["r", "r+"])
def test_items_of_no_bytes(file, descr, mode):
    view = ndbuf.open(file(npy(descr, (2, 3), b"")), mode)
    assert (view.shape, view.itemsize, view.nbytes, view.readonly) == ((2, 3), 0, 0, mode == "r")


def test_python_2_wrote_long_integers(file):
    assert ndbuf.open(file(npy("[('3L', '<i2', (3L,))]", "(2L,)", SHORTS))).format == "T{<3h:3L:}"
    with pytest.raises(ValueError, match="malformed"):
        ndbuf.open(file(npy("'<i2'", "(6L,)", SHORTS, version=(3, 0))))


@pytest.mark.parametrize("descr", ["'|O'", "'|O8'", "'|T16'", "[('a', '<i2'), ('b', '|O')]", "('<i2', (2,))"])
def test_what_is_known_but_cannot_be_viewed_is_not_called_malformed(file, descr):
    with pytest.raises(ValueError, match="cannot be viewed: .*unsupported"):
        ndbuf.open(file(npy(descr, (1,), SHORTS)))


@pytest.mark.parametrize("content, text", [
    (npy("'<i2'", (2, 4), SHORTS), "needs 16 bytes"),
    (npy("'<i2'", (2 ** 40, 2 ** 40), SHORTS), "needs"),
    (npy("'<i2'", (-1,), SHORTS), "negative"),
    (npy("'<i3'", (1,), SHORTS), "malformed.*typestr"),
    (npy("'<i2'", (2, 3), SHORTS, version=(9, 0)), "version 9"),
    (npy("'<i2'", (2, 3), SHORTS, version=(1, 1)), "version 1.1"),
    (npy("'<i2'", (2, 3), SHORTS, more="'x': 1"), "malformed.*keys"),
    (npy("'<i2'", [2, 3], SHORTS), "malformed.*shape"),
    (npy("'<i2'", 6, SHORTS), "malformed.*shape"),
    (npy("'<i2'", (True, 6), SHORTS), "malformed.*shape"),
    (npy("[('a', '<i2'), ('a', '<i2')]", (3,), SHORTS), "malformed.*twice"),
    (npy("[('a', '<i2', (True,))]", (3,), SHORTS), "malformed.*extent"),
    (npy("[('a', '<i2', (2.0,))]", (1,), SHORTS), "malformed.*float"),
    (npy("'<M8[ns'", (1,), SHORTS), "malformed.*typestr"),
    (npy("__import__('os')", (2, 3), SHORTS), "malformed"),
    (npy("'<i2'", ("2",), SHORTS), "malformed"),
    (npy("7", (2,), SHORTS), "malformed"),
    (npy("'<i2'", (2, 3), SHORTS)[:40], "ends within its header"),
    (npy("'<i2'", (2, 3), SHORTS).replace(b"shape", b"shap_"), "malformed"),
    (npy("'<i2'", (2, 3), SHORTS).replace(b"False", b"'no' "), "malformed"),
    (b"\x93NUMPY\1\0\xff\xff", "ends within its header"),
])
def test_broken_npy_files_are_refused(file, content, text):
    with pytest.raises((ValueError, TypeError), match=text):
        ndbuf.open(file(content))


def test_what_is_written_goes_into_the_file(file):
    path = file(npy("'>i2'", (2, 3), SHORTS))
    with ndbuf.open(path, "r+") as view:
        view[1, 2] = 300
    assert path.read_bytes().endswith(struct.pack(">h", 300))
    with pytest.raises(TypeError, match="read-only"):
        ndbuf.open(path)[0, 0] = 1


class Three:
    def __index__(self):
        return 3


def test_raw_files(file):
    path = file(bytes(range(13)))
    assert ndbuf.open(path).tolist() == list(range(13))
    assert ndbuf.open(path, format="<h", offset=1).tolist() == list(struct.unpack("<6h", bytes(range(1, 13))))
    assert ndbuf.open(path, format="<h", shape=(2, 3), order="F").strides == (2, 4)
    assert ndbuf.open(path, shape=5).tolist() == list(range(5))
    assert ndbuf.open(path, shape=Three()).tolist() == ndbuf.open(path, shape=iter([Three()])).tolist() == [0, 1, 2]
    assert ndbuf.open(path, offset=13).shape == (0,)
    assert ndbuf.open(file(b"")).shape == (0,)


@pytest.mark.parametrize("arguments, error", [
    (dict(format="<h"), ValueError), (dict(format="<h", shape=(7,)), ValueError), (dict(offset=14), ValueError),
    (dict(offset=-1), ValueError), (dict(shape=(-1,)), ValueError), (dict(format="zz"), ValueError),
    (dict(mode="w"), ValueError), (dict(format="0s"), ValueError), (dict(shape=(2, 3), order="A"), ValueError),
    (dict(shape="2"), TypeError), (dict(format=3), TypeError),
])
def test_raw_files_that_are_not_so_are_refused(file, arguments, error):
    with pytest.raises(error):
        ndbuf.open(file(bytes(13)), **arguments)


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        ndbuf.open(tmp_path / "none")
    assert "none" in str(caught.value)
    with pytest.raises(OSError):
        ndbuf.open(tmp_path)
    with pytest.raises(ValueError):
        ndbuf.open("a\0b")
    with pytest.raises(TypeError):
        ndbuf.open(None)


def test_paths_of_every_kind(tmp_path):
    path = os.fsencode(tmp_path) + b"/n\xe4me"
    with open(path, "wb") as file:
        file.write(b"abc")
    for name in (path, os.fsdecode(path), pathlib.Path(os.fsdecode(path))):
        assert ndbuf.open(name).tobytes() == b"abc"


@machine.on_every_device
def test_a_mapped_file_travels(file, device):
    there = ndbuf.open(file(npy("'<i2'", (2, 3), SHORTS)))[:, ::-1].to(device, copy=True)
    assert there.to("cpu").tolist() == ndbuf.view(SHORTS).cast("<h", (2, 3))[:, ::-1].tolist()
