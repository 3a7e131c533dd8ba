# SPDX-License-Identifier: Apache-2.0
"""CPython's own buffers: memoryview, bytes, bytearray, array, mmap and ctypes, in both directions."""
import array
import ctypes
import itertools
import mmap
import pickle
import struct
import sys
import tempfile

import buffer_peer
import pytest

import ndbuf

NATIVE = ["?", "b", "B", "h", "H", "i", "I", "l", "L", "q", "Q", "f", "d"]


@pytest.mark.parametrize("code", NATIVE)
def test_memoryview_of_every_native_code_comes_back_as_it_was(code):
    memory = bytearray(struct.pack("6" + code, *range(6)) if code != "?" else bytes([0, 1, 1, 0, 1, 0]))
    given = memoryview(memory).cast(code, (2, 3))
    view = ndbuf.view(given)
    taken = memoryview(view)
    assert (taken.shape, taken.strides, taken.itemsize) == (given.shape, given.strides, given.itemsize)
    assert taken.tolist() == given.tolist() == view.tolist()
    assert taken == given
    taken[1, 2] = given[0, 1]
    assert given[1, 2] == given[0, 1]


@pytest.mark.parametrize("code", ["b", "B", "h", "H", "i", "I", "l", "L", "q", "Q", "f", "d"])
def test_arrays_are_shared(code):
    owner = array.array(code, range(8))
    view = ndbuf.view(owner)
    assert view.tolist() == owner.tolist()
    view[::2] = 7
    assert owner.tolist() == [7, 1, 7, 3, 7, 5, 7, 7]
    with pytest.raises(BufferError):
        owner.append(1)
    view.release()
    owner.append(1)


def test_bytes_are_read_only_and_bytearrays_are_not():
    for owner, readonly in ((b"abc", True), (bytearray(b"abc"), False)):
        view = ndbuf.view(owner)
        assert view.readonly == memoryview(view).readonly == readonly
    with pytest.raises(TypeError):
        ndbuf.view(b"abc")[0] = 1
    with pytest.raises(TypeError):
        memoryview(ndbuf.view(b"abc"))[0] = 1
    with pytest.raises((BufferError, TypeError)):
        ctypes.c_char.from_buffer(ndbuf.view(b"abc"))


def test_a_byte_offset_and_signed_strides_come_through():
    base = memoryview(bytearray(range(60))).cast("h")
    for start, stop, step in itertools.product((None, 0, 3, 29, -2), (None, 5, 30, -4), (1, 3, -1, -4)):
        given = base[start:stop:step]
        view = ndbuf.view(given)
        assert view.tolist() == given.tolist()
        assert memoryview(view).strides == given.strides or len(given) == 0
        assert memoryview(view).tolist() == given.tolist()
        assert memoryview(ndbuf.view(base)[start:stop:step]).tolist() == given.tolist()


def test_no_axes_and_no_items():
    assert memoryview(ndbuf.full((), 5, "i")).tolist() == 5
    empty = memoryview(ndbuf.empty((3, 0, 2), "d"))
    assert (empty.shape, empty.nbytes, empty.tolist()) == ((3, 0, 2), 0, [[], [], []])
    assert ndbuf.view(b"").tolist() == []
    assert bytes(ndbuf.empty(0)) == b""


def test_zero_strides_are_shared_and_read_only():
    view = ndbuf.view(bytearray(b"ab")).reshape((2, 1)).broadcast_to((2, 3))
    given = memoryview(view)
    assert (given.strides, given.tolist(), given.readonly) == ((1, 0), [[97] * 3, [98] * 3], True)
    assert ndbuf.view(given).strides == (1, 0)


@pytest.mark.parametrize("text", ["<i", ">i", "T{<i:a:>d:b:}", "<Zf", "3s", "^g", "<e"])
def test_the_format_goes_out_as_the_view_has_it(text):
    view = ndbuf.zeros((2, 2), text)
    taken = memoryview(view)
    assert taken.itemsize == view.itemsize
    assert ndbuf.view(taken).format == view.format
    assert taken.tobytes() == bytes(view.nbytes)


def test_what_is_said_of_contiguity_is_what_memoryview_says():
    base = ndbuf.zeros((4, 1, 5), "h")
    for view in (base, base.T, base[::2], base[:, :, ::2], base[1:2], base[:0], base[..., 0], base[2, :, 3:4]):
        taken = memoryview(view)
        assert (view.c_contiguous, view.f_contiguous) == (taken.c_contiguous, taken.f_contiguous)
        assert view.contiguous == taken.contiguous


def test_bytes_come_in_each_order():
    view = ndbuf.view(bytes(range(12))).reshape((3, 4)).T
    taken = memoryview(view)
    assert view.tobytes() == taken.tobytes()
    for order in "CFA":
        assert view.tobytes(order) == taken.tobytes(order)


def test_writers_from_the_standard_library_fill_a_view():
    view = ndbuf.zeros(8)
    struct.pack_into("<q", view, 0, 258)
    assert view.tolist() == [2, 1, 0, 0, 0, 0, 0, 0]
    with tempfile.TemporaryFile() as file:
        file.write(view)
        file.seek(0)
        other = ndbuf.zeros(8)
        assert file.readinto(other) == 8
        assert other.tolist() == view.tolist()
    assert int.from_bytes(ndbuf.view(b"\1\2"), "big") == 258


def test_mapped_memory_cannot_be_closed_while_it_is_seen():
    with tempfile.TemporaryFile() as file:
        file.truncate(4096)
        mapped = mmap.mmap(file.fileno(), 4096)
        view = ndbuf.view(mapped)
        view[17] = 5
        assert mapped[17] == 5
        with pytest.raises(BufferError):
            mapped.close()
        view.release()
        mapped.close()


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int64), ("y", ctypes.c_double)]


class PaddedPoint(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int16), ("y", ctypes.c_double)]


class BigPoint(ctypes.BigEndianStructure):
    _fields_ = [("x", ctypes.c_int16), ("y", ctypes.c_int16)]


def test_structures_of_ctypes_are_records():
    points = (Point * 3)(Point(1, 2.5), Point(3, 4.5), Point(-5, 6.5))
    view = ndbuf.view(points)
    assert view.itemsize == ctypes.sizeof(Point)
    assert view["x"].tolist() == [1, 3, -5]
    view["y"] = 0.25
    assert [point.y for point in points] == [0.25] * 3
    assert ndbuf.view((BigPoint * 2)(BigPoint(1, 2), BigPoint(3, 4))).tolist() == [(1, 2), (3, 4)]
    assert ndbuf.view((ctypes.c_int * 3 * 2)((1, 2, 3), (4, 5, 6))).tolist() == [[1, 2, 3], [4, 5, 6]]


def test_a_padded_structure_of_ctypes_is_a_record_where_python_tells_of_the_padding():
    points = (PaddedPoint * 2)(PaddedPoint(1, 2.5), PaddedPoint(3, 4.5))
    view = ndbuf.view(points)
    assert view.tobytes() == bytes(points)
    if sys.version_info >= (3, 12):
        assert view["y"].tolist() == [2.5, 4.5]
    else:  # its format is of 10 bytes, for items of 16: nothing can be said of them but their size
        assert (view.format, view.itemsize) == ("<16x::", 16)


def test_a_union_of_ctypes_leaves_no_member_where_it_is_not():
    class Union(ctypes.Union):
        _fields_ = [("real", ctypes.c_double), ("whole", ctypes.c_int * 4)]

    class Tagged(ctypes.Structure):
        _fields_ = [("tag", ctypes.c_char), ("number", ctypes.c_int), ("union", Union)]

    view = ndbuf.view((Tagged * 2)(Tagged(b"a", 7), Tagged(b"b", 8)))
    if sys.version_info >= (3, 12):
        assert (view["tag"].tolist(), view["number"].tolist()) == ([b"a", b"b"], [7, 8])
    else:
        assert view.format == "<24x::"


def test_rows_behind_pointers_come_in_and_go_out_as_suboffsets():
    rows = [bytearray(b"abcd"), bytearray(b"efgh"), bytearray(b"ijkl")]
    pointers = (ctypes.c_void_p * 3)(*(ctypes.addressof(ctypes.c_char.from_buffer(row)) for row in rows))
    memory = bytearray(ctypes.sizeof(pointers))
    memory[:] = pointers
    exporter = buffer_peer.Exporter(memory, 12, 1, b"B", shape=(3, 4), strides=(8, 1), suboffsets=(0, -1))
    view = ndbuf.view(exporter)
    assert view.suboffsets == (0, -1)
    assert bytes(sum(view.tolist(), [])) == b"abcdefghijkl"
    view[1, 1:3] = 65
    assert rows[1] == b"eAAh"
    taken = memoryview(view[::-2])
    assert (taken.suboffsets, taken.tolist()) == ((0, -1), [list(b"ijkl"), list(b"abcd")])
    assert view.copy().suboffsets == ()
    with pytest.raises(BufferError):
        struct.unpack_from("B", view)
    del view, taken
    assert exporter.held == 0


def test_a_consumer_of_contiguous_bytes_gets_no_others():
    view = ndbuf.view(bytearray(range(24))).cast("h", (3, 4))
    for part in (view, view[1], view[1:], view[2, 1:3], view[:0]):
        assert struct.unpack_from("%ds" % part.nbytes, part)[0] == part.tobytes()
    for part in (view.T, view[:, 1], view[::2], view[::-1]):
        with pytest.raises(BufferError, match="contiguous"):
            struct.unpack_from("B", part)


def test_a_view_in_use_is_not_released():
    view = ndbuf.view(bytearray(4))
    taken = memoryview(view)
    with pytest.raises(BufferError, match="in use"):
        view.release()
    taken.release()
    view.release()
    for use in (lambda: memoryview(view), lambda: view.shape, lambda: view[0], lambda: ndbuf.view(view), view.tolist):
        with pytest.raises((ValueError, BufferError), match="released"):
            use()


def test_a_memoryview_outlives_its_view_and_owner():
    owner = bytearray(b"abcd")
    taken = memoryview(ndbuf.view(owner)[1:])
    count = sys.getrefcount(owner)
    assert taken.tobytes() == b"bcd"
    del taken
    assert sys.getrefcount(owner) == count - 1


def test_views_go_into_pickles_out_of_band():
    memory = bytearray(range(16))
    buffers = []
    data = pickle.dumps(pickle.PickleBuffer(ndbuf.view(memory)), protocol=5, buffer_callback=buffers.append)
    back = pickle.loads(data, buffers=buffers)
    assert memoryview(back).tobytes() == memory
