# SPDX-License-Identifier: Apache-2.0
"""NumPy as an exporter and as a consumer, by each of the protocols that it has."""
import itertools

import pytest

import ndbuf

numpy = pytest.importorskip("numpy")

import sample_arrays  # noqa: E402, needs NumPy
from sample_arrays import LAYOUTS, NOT_IN_DLPACK, PLAIN, RECORDS, items_of, sample  # noqa: E402

IS_NUMPY_2 = numpy.lib.NumpyVersion(numpy.__version__) >= "2.0.0"  # before, 32 axes with those of sub-arrays
KNOWS_READ_ONLY_DLPACK = numpy.lib.NumpyVersion(numpy.__version__) >= "2.1.0"
READ_ONLY = {"read-only", "zero strides", "one item everywhere"}
SWAPPED_LONG = numpy.dtype("g").newbyteorder()
TYPES = PLAIN + sample_arrays.SWAPPED + sample_arrays.TEXTS + sample_arrays.LONG_DOUBLES


class Only:
    """An object that has one protocol of another's only."""

    def __init__(self, other, *names):
        for name in names:
            setattr(self, name, getattr(other, name))


class OnlyDlpack:
    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **keywords):
        return self.array.__dlpack__(**keywords)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def in_layouts(array, without=()):
    """The array in all layouts: of a failure, pytest shows `layout`."""
    for layout in LAYOUTS:
        if layout not in without and not (layout == "32 axes" and array.dtype.names and not IS_NUMPY_2):
            yield LAYOUTS[layout](array)


def check_is_same(array, other):
    """Whether two arrays are the same memory, seen the same way."""
    assert other.dtype == array.dtype
    assert other.shape == array.shape
    assert items_of(other) == items_of(array)
    if array.size > 0:
        assert other.__array_interface__["data"] == array.__array_interface__["data"]
        significant = [axis for axis in range(array.ndim) if array.shape[axis] > 1]
        assert [other.strides[axis] for axis in significant] == [array.strides[axis] for axis in significant]


def check_values(array, view):
    """Whether the view has the array's items, asked for without NumPy."""
    assert (view.shape, view.itemsize, view.readonly) == (array.shape, array.itemsize, not array.flags.writeable)
    assert view.tobytes() == array.tobytes()
    assert view.copy().tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", TYPES)
def test_every_type_in_every_layout_goes_there_and_back(dtype):
    for array in in_layouts(sample(dtype)):
        view = ndbuf.view(array)
        check_values(array, view)
        check_is_same(array, numpy.asarray(view))


@pytest.mark.parametrize("name", RECORDS)
def test_records_in_every_layout_go_there_and_back(name):
    for array in in_layouts(sample(RECORDS[name])):
        view = ndbuf.view(array)
        check_is_same(array, numpy.asarray(view))
        assert items_of(numpy.asarray(view.copy())) == items_of(array)
        for field in array.dtype.names:
            check_is_same(array[field], numpy.asarray(view[field]))


@pytest.mark.parametrize("name", RECORDS)
def test_arrays_made_of_records_are_the_views_records(name):
    array = sample(RECORDS[name], (3, 2, 2))
    made = numpy.array(ndbuf.view(array))
    assert made.dtype == array.dtype
    assert not numpy.shares_memory(made, array)
    assert items_of(made) == items_of(array)


def test_values_of_records_nested_and_in_arrays_come_out_as_python_objects():
    array = numpy.array([(-7, (0.5, (9, -2 ** 40)), b"xyz"), (8, (1.5, (0, 1)), b"abc")], RECORDS["nested"])
    assert ndbuf.view(array).tolist() == array.tolist()
    array = numpy.zeros(1, RECORDS["sub-arrays"])
    array["a"] = [[1, 2, 3], [4, 5, 6]]
    array["b"] = [0.5, 1.5, 2.5, 3.5]
    array["c"] = [(1, (2, 3)), (4, (5, 6)), (7, (8, 9))]
    (a, b, c), = ndbuf.view(array).tolist()
    assert (a, b, c) == ([[1, 2, 3], [4, 5, 6]], [0.5, 1.5, 2.5, 3.5], [(1, [2, 3]), (4, [5, 6]), (7, [8, 9])])


@pytest.mark.parametrize("dtype", TYPES)
def test_values_come_out_as_numpys(dtype):
    array = sample(dtype, (3, 2))
    native = array.astype({"g": "d", "G": "D"}.get(dtype, array.dtype.newbyteorder("=")))  # Python has no long double
    assert repr(ndbuf.view(array).tolist()) == repr(native.tolist())


@pytest.mark.parametrize("dtype", PLAIN)
def test_every_plain_type_goes_through_dlpack(dtype):
    unknown = set() if KNOWS_READ_ONLY_DLPACK else READ_ONLY
    for array in in_layouts(sample(dtype), without=NOT_IN_DLPACK | unknown):
        expected = array.view()
        expected.setflags(write=array.flags.writeable and KNOWS_READ_ONLY_DLPACK)  # before, NumPy writes to no tensor
        check_is_same(expected, numpy.from_dlpack(ndbuf.view(array)))
        view = ndbuf.view(OnlyDlpack(array))
        check_values(array, view)
        check_is_same(array, numpy.asarray(view))


@pytest.mark.parametrize("layout", sorted(NOT_IN_DLPACK))
@pytest.mark.parametrize("dtype", ["<f4", "<c16"])
def test_what_dlpack_must_not_say_is_refused(dtype, layout):
    with pytest.raises(BufferError):
        numpy.from_dlpack(ndbuf.view(LAYOUTS[layout](sample(dtype))))


@pytest.mark.parametrize("array", [sample(">i4"), sample("S5"), sample("g"), sample(RECORDS["plain"])],
                         ids=lambda array: array.dtype.str)
def test_types_that_dlpack_does_not_have_are_refused(array):
    with pytest.raises(BufferError):
        numpy.from_dlpack(ndbuf.view(array))


@pytest.mark.parametrize("layout", ["negative strides", "all negative"])
@pytest.mark.parametrize("dtype", ["?", "<i4", "<c16"])
def test_negative_strides_of_numpys_own_tensors_are_read(dtype, layout):
    array = LAYOUTS[layout](sample(dtype))
    check_values(array, ndbuf.view(OnlyDlpack(array)))


@pytest.mark.parametrize("dtype", TYPES + list(RECORDS))
def test_array_interface_of_numpy_is_read(dtype):
    for array in in_layouts(sample(RECORDS.get(dtype, dtype))):
        check_is_same(array, numpy.asarray(ndbuf.view(Only(array, "__array_interface__", "base"))))


@pytest.mark.parametrize("dtype", TYPES)
def test_array_struct_of_numpy_is_read(dtype):
    for array in in_layouts(sample(dtype)):
        check_is_same(array, numpy.asarray(ndbuf.view(Only(array, "__array_struct__", "base"))))


def test_records_of_array_struct_are_bytes_since_numpy_clears_their_flags():
    array = sample(RECORDS["plain"])
    view = ndbuf.view(Only(array, "__array_struct__", "base"))
    assert (view.shape, view.itemsize, view.readonly) == (array.shape, array.itemsize, True)
    assert view.tobytes() == array.tobytes()


def test_items_of_nothing_but_bytes_are_read():
    array = numpy.arange(24, dtype="u1").view("V4")[::-2]
    before = array.copy()
    for view in (ndbuf.view(array), ndbuf.view(Only(array, "__array_interface__", "base")),
                 ndbuf.view(Only(array, "__array_struct__", "base"))):
        assert (view.format, view.tobytes()) == ("<4x::", array.tobytes())
        assert view.copy().tolist() == view.tolist() == [item.tobytes() for item in array]
        view[0], view[2] = b"abcd", view[1]
        assert [item.tobytes() for item in array] == [b"abcd", bytes(range(12, 16)), bytes(range(12, 16))]
        array[...] = before
        assert numpy.asarray(Only(view, "__array_interface__")).dtype == array.dtype


@pytest.mark.parametrize("dtype", TYPES + list(RECORDS))
def test_array_interface_goes_out_and_is_read_by_numpy(dtype):
    for array in in_layouts(sample(RECORDS.get(dtype, dtype))):
        view = ndbuf.view(array)
        assert view.__array_interface__["version"] == 3
        assert view.__array_interface__["typestr"] == array.__array_interface__["typestr"]
        taken = numpy.asarray(Only(view, "__array_interface__"))
        if array.dtype.names is None:
            check_is_same(array, taken)
            continue
        assert taken.dtype.itemsize == array.dtype.itemsize
        for name in array.dtype.names if dtype not in ("nested", "sub-arrays") else ():  # those are bytes there
            check_is_same(array[name], taken[name])  # beside which NumPy takes padding for fields, always


# -- writing, lifetime, copies --


def test_what_one_side_writes_the_other_reads():
    array = sample("<i4", (3, 4))
    view = ndbuf.view(array[:, ::-1])
    view[1, 0] = -1
    assert array[1, 3] == -1
    numpy.asarray(view)[:, 1] = 8
    assert view[:, 1].tolist() == [8] * 3
    if KNOWS_READ_ONLY_DLPACK:  # before, NumPy writes to no tensor
        numpy.from_dlpack(ndbuf.view(array))[2] = 9
        assert view[2].tolist() == [9] * 4


def test_read_only_stays_read_only():
    array = LAYOUTS["read-only"](sample("<f4"))
    view = ndbuf.view(array)
    assert view.readonly
    assert not numpy.asarray(view).flags.writeable
    with pytest.raises((ValueError, TypeError)):
        view[0] = 1
    with pytest.raises(ValueError):
        numpy.asarray(view)[0] = 1
    assert not numpy.asarray(ndbuf.view(sample("<f4")).toreadonly()).flags.writeable


@pytest.mark.skipif(not KNOWS_READ_ONLY_DLPACK, reason="NumPy before 2.1 knows no DLPack that is read-only")
def test_read_only_goes_through_dlpack_and_to_nobody_who_cannot_know():
    array = LAYOUTS["read-only"](sample("<f4"))
    assert not numpy.from_dlpack(ndbuf.view(array)).flags.writeable
    assert ndbuf.view(OnlyDlpack(array)).readonly
    with pytest.raises(BufferError):
        ndbuf.view(array).__dlpack__()


@pytest.mark.parametrize("take", [numpy.asarray, numpy.from_dlpack, lambda view: numpy.asarray(memoryview(view))],
                         ids=["asarray", "from_dlpack", "memoryview"])
def test_the_array_outlives_the_view_and_the_owner(take):
    array = numpy.arange(1000.0)
    expected = array.copy()
    taken = take(ndbuf.view(array)[::2])
    del array
    assert (taken == expected[::2]).all()


def test_new_memory_is_numpys_to_fill():
    for text, dtype in (("<f", "<f4"), (">h", ">i2"), ("<Zd", "<c16"), ("3s", "S3"), ("T{<i:a:4x>d:b:}", None)):
        view = ndbuf.zeros((5, 6), text)
        array = numpy.asarray(view)
        assert dtype is None or array.dtype == numpy.dtype(dtype)
        assert not array.view("u1").any()
        if dtype is None:
            array["b"][1:3, 2] = 7.5
            assert view[2, 2] == (0, 7.5)
        else:
            array[1:3, 2] = sample(dtype, (2,))
            assert view[1:3, 2].tobytes() == array[1:3, 2].tobytes()


def test_array_takes_dtype_and_copy_as_numpy_asks():
    view = ndbuf.view(sample("<i2", (3, 4)))
    assert numpy.asarray(view, dtype="<f8").dtype == numpy.dtype("<f8")
    assert not numpy.shares_memory(numpy.array(view), numpy.asarray(view))
    assert numpy.array(view, copy=False).base is not None
    if IS_NUMPY_2:
        assert numpy.asarray(view, copy=False).__array_interface__["data"][0] == view._address
        with pytest.raises(ValueError):
            numpy.asarray(view, dtype="<f8", copy=False)
        assert not numpy.shares_memory(numpy.asarray(view, copy=True), numpy.asarray(view))


@pytest.mark.skipif(not KNOWS_READ_ONLY_DLPACK, reason="NumPy before 2.1 does not ask for copies or devices by DLPack")
def test_from_dlpack_copies_on_request():
    view = ndbuf.view(sample("<i2", (3, 4)))
    assert not numpy.shares_memory(numpy.from_dlpack(view, copy=True), numpy.asarray(view))
    assert numpy.shares_memory(numpy.from_dlpack(view, copy=False), numpy.asarray(view))
    assert numpy.shares_memory(numpy.from_dlpack(view, device="cpu"), numpy.asarray(view))


@pytest.mark.parametrize("layouts", list(itertools.product(("C", "F", "steps", "negative strides", "axes exchanged"),
                                                           repeat=2)), ids="-".join)
def test_copies_between_layouts_are_numpys(layouts):
    dst, src = (LAYOUTS[name](sample("<i4", (6, 6, 6), seed)).copy("K") for seed, name in enumerate(layouts))
    dst, src = (array[:3, :2, :3] for array in (dst, src))
    expected = dst.copy()
    expected[...] = src
    ndbuf.copy(dst, src)
    assert (dst == expected).all()


@pytest.mark.parametrize("dst", PLAIN + [">i4", ">f8"])
@pytest.mark.parametrize("src", ["?", "b", "H", "q", "e", "f", ">d"])
def test_conversions_are_numpys(src, dst):
    array = numpy.array([0, 1, 2, 3, 100, 63], "d").astype(src)
    target = numpy.zeros(6, dst)
    ndbuf.copy(target, array, casting="unsafe")
    assert (target == array.astype(dst)).all()
    assert ndbuf.can_cast(ndbuf.view(array).format, ndbuf.view(target).format) == numpy.can_cast(array.dtype, dst)


def test_numpy_reduces_a_view_without_being_told_what_it_is():
    array = sample("<f8")
    assert numpy.add.reduce(ndbuf.view(array), axis=1).tobytes() == array.sum(axis=1).tobytes()


def test_scalars_are_assigned_by_their_value_as_full_takes_them():
    view = ndbuf.zeros(6, "B")
    view[0], view[1:3], view[3], view[4] = numpy.int64(5), numpy.uint16(6), numpy.array(7), numpy.bool_(True)
    assert view.tolist() == [5, 6, 6, 7, 1, 0]
    for value, error in ((numpy.int64(256), OverflowError), (numpy.float32(1.5), TypeError),
                         (numpy.float64(1.5), TypeError), (numpy.array([5]), TypeError)):
        with pytest.raises(error):
            view[5:] = value
    assert view[5] == 0


def test_shapes_and_axes_may_be_arrays():
    shape = numpy.array([2, 3, 4])
    view = ndbuf.zeros(shape, "h")
    assert view.shape == (2, 3, 4) and view.permute(numpy.array([2, 0, 1])).shape == (4, 2, 3)
    assert view.reshape(shape[::-1]).shape == view.T.broadcast_to(shape[::-1]).shape == (4, 3, 2)
    assert ndbuf.zeros(numpy.int16(5)).shape == ndbuf.zeros(numpy.array(5)).shape == (5,)
    assert ndbuf.zeros(numpy.array([], int)).shape == ()
    for bad in (numpy.array([2.0]), numpy.array([[2, 3]]), numpy.array(2.0), numpy.array("2")):
        with pytest.raises(TypeError):
            ndbuf.zeros(bad)


def test_objects_are_seen_but_not_copied_since_nobody_would_count_their_references():
    array = numpy.array([object(), None, "text"], dtype=object)
    view = ndbuf.view(array)
    assert numpy.asarray(view[::-1])[0] == "text"
    other = ndbuf.view(array.copy())
    for copy in (lambda: ndbuf.copy(other, view), view.copy, lambda: view.to("cpu", copy=True),
                 lambda: other.__setitem__(slice(0, 2), array[:2]), lambda: other.__setitem__(0, None),
                 lambda: view.astype("q"), lambda: view.cast("q"), lambda: ndbuf.empty(3, "O"),
                 lambda: ndbuf.zeros(3, "O"), lambda: ndbuf.zeros(3, "T{O:a:}"), lambda: ndbuf.full(3, None, "O"),
                 view.__dlpack__):
        with pytest.raises((TypeError, BufferError)):
            copy()


@pytest.mark.parametrize("fields", [
    [("a", "i4"), ("b", "O")], [("a", "i1"), ("b", "O"), ("c", "f4")], [("a", "i4"), ("b", [("c", "i4"), ("d", "O")])],
    [("a", "i2"), ("b", "O", (2,))],
], ids=str)
def test_objects_in_records_whose_format_numpy_writes_wrongly_are_not_taken_for_bytes(fields):
    array = numpy.zeros(2, fields)
    with pytest.raises(BufferError, match="Python objects"):
        ndbuf.view(array)
    with pytest.raises(BufferError, match="Python objects"):
        ndbuf.copy(array, array[::-1])


@pytest.mark.parametrize("fields", [
    [("a", "i4"), ("b", "f8")], [("a", "i4"), ("b", "g")], [("a", "u1"), ("b", [("c", "f4"), ("d", "i8", (2,))])],
], ids=str)
def test_records_whose_format_and_size_do_not_go_together_have_their_fields_all_the_same(fields):
    array = numpy.zeros(3, fields)
    array["a"] = 5, 6, 7
    view = ndbuf.view(array)
    assert view["a"].tolist() == [5, 6, 7] and not view.readonly
    assert ndbuf.view(array[1]).format == view.format and ndbuf.view(array[1])["a"][()] == 6
    view[0] = array[2]
    view[1:]["a"] = 9
    assert array["a"].tolist() == [7, 9, 9]


WITHIN = numpy.dtype({"names": ["x"], "formats": ["<f4"], "offsets": [1], "itemsize": 7})


@pytest.mark.parametrize("dtype", [
    numpy.dtype([("r", [("x", "i2"), ("y", "i1")]), ("z", "i1")], align=True),
    numpy.dtype([("p", "f8", (2,)), ("r", [("x", "i2"), ("y", "i1")]), ("z", "i1")], align=True),
    numpy.dtype([("r", WITHIN, (2, 3)), ("z", "i1")]), numpy.dtype([("a", "u1"), ("r", WITHIN), ("z", ">i2")]),
], ids=str)
def test_records_in_records_lie_where_numpy_has_them(dtype):
    array = numpy.frombuffer(bytes(range(1, 2 * dtype.itemsize + 1)), "u1").copy().view(dtype)
    view = ndbuf.view(array)
    assert view["z"].tolist() == array["z"].tolist()
    assert view["r.x"].tobytes() == array["r"]["x"].tobytes()
    view["z"] = 7
    assert array["z"].tolist() == [7, 7]


@pytest.mark.parametrize("interface", [KeyError("no"), ValueError("no"), 5, {}, {"typestr": "|V6"}], ids=str)
def test_a_bad_array_interface_leaves_what_the_buffer_says(interface):
    class Array(numpy.ndarray):
        @property
        def __array_interface__(self):
            if isinstance(interface, Exception):
                raise interface
            return interface

    array = numpy.zeros(2, [("r", [("x", "i2")]), ("z", "i2")])
    array["z"] = 3
    assert ndbuf.view(array.view(Array))["z"].tolist() == [3, 3]


def test_a_record_that_is_a_scalar_lies_where_numpy_has_it():
    dtype = numpy.dtype({"names": ["x"], "formats": ["<i2"], "offsets": [1], "itemsize": 7})
    array = numpy.frombuffer(bytes(range(14)), "u1").view(dtype)
    assert ndbuf.view(array[1]).tolist() == ndbuf.view(array)[1] == (array["x"][1],)


def test_an_array_interface_holds_what_keeps_its_memory():
    class Text:
        @property
        def __array_interface__(self):
            text = numpy.bytes_(b"text" * 100000)
            return {**text.__array_interface__, "text": text}  # by itself it holds none from NumPy 2.5 on

    view = ndbuf.view(Text())
    others = [bytes(400000) for _ in range(10)]
    assert view.tobytes() == b"text" * 100000 and len(others) == 10


@pytest.mark.parametrize("dtype", ["M8[s]", ">M8[ns]", "m8[D]", "m8"])
def test_dates_have_no_buffer_and_are_opaque(dtype):
    array = numpy.arange(24).reshape(4, 6).astype("i8").astype(dtype)
    view = ndbuf.view(array)
    assert (view.format, view.readonly, view.tobytes()) == ("<8x::", False, array.tobytes())
    ndbuf.copy(array[::-1, :3], array[:, 3:])
    assert array[:, :3].tolist() == array[::-1, 3:].tolist()


def test_records_with_dates_keep_their_fields():
    array = numpy.zeros(3, [("when", "M8[us]"), ("what", "<i4"), ("long", SWAPPED_LONG)])
    view = ndbuf.view(array)
    assert view["when"].format == "<8x::" and not view.readonly
    view["what"] = 7
    assert array["what"].tolist() == [7] * 3
    assert view["long"].itemsize == array["long"].itemsize


def test_objects_have_no_array_interface():
    for array in (numpy.array([None, "text"], dtype=object), numpy.zeros(2, [("a", "O"), ("b", "i4")])):
        view = ndbuf.view(array)
        assert not hasattr(view, "__array_interface__") and numpy.asarray(view).dtype == array.dtype
