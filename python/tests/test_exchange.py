# SPDX-License-Identifier: Apache-2.0
"""The protocols beside the buffer protocol, and which of them is taken."""
import ctypes
import gc
import sys
import weakref

import machine
import pytest
from dlpack_peer import Producer

import ndbuf

LITTLE = sys.byteorder == "little"
NATIVE, SWAPPED = ("<", ">") if LITTLE else (">", "<")


class Has:
    """An object with the attributes that it is made with."""

    def __init__(self, **attributes):
        vars(self).update(attributes)


def array_of(memory, **entries):
    """An object with __array_interface__ of `memory`, 6 items of 2 bytes unless entries say otherwise."""
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    interface = dict(version=3, typestr="<u2", shape=(6,), data=(address, False))
    interface.update(entries)
    return Has(__array_interface__=interface, memory=memory)


MEMORY = bytearray(range(12))
WORDS = [256 * (2 * k + 1) + 2 * k for k in range(6)]


# -- __array_interface__ --


def test_an_array_interface_is_taken_without_a_copy():
    view = ndbuf.view(array_of(MEMORY))
    assert view.tolist() == WORDS and not view.readonly
    with_strides = ndbuf.view(array_of(MEMORY, shape=(2, 2), strides=(6, 2)))
    assert with_strides.tolist() == [WORDS[0:2], WORDS[3:5]] and with_strides.strides == (6, 2)


def test_an_array_interface_keeps_its_object_alive():
    owner = array_of(bytearray(12))
    gone = weakref.ref(owner)
    view = ndbuf.view(owner)[1:]
    del owner
    assert gone() is not None and view.tolist() == [0] * 5
    del view
    gc.collect()
    assert gone() is None


def test_an_array_interface_may_point_into_a_buffer():
    owner = Has(__array_interface__=dict(version=3, typestr=">u2", shape=(2,), data=MEMORY, offset=4))
    assert ndbuf.view(owner).tolist() == [0x0405, 0x0607]
    interface = dict(version=3, typestr="|u1", shape=(3,), strides=(-1,), data=b"abcd", offset=2)
    view = ndbuf.view(Has(__array_interface__=interface))
    assert view.tolist() == list(b"cba") and view.readonly


@pytest.mark.parametrize("entries", [
    dict(shape=(7,)), dict(shape=(3,), offset=8), dict(shape=(1,), offset=-1), dict(shape=(2,), strides=(-2,)),
    dict(shape=(1,), offset=12), dict(shape=(2,), strides=(2 ** 40,)),
])
def test_an_array_interface_that_leaves_its_buffer_is_refused(entries):
    interface = dict(version=3, typestr="<u2", data=bytes(12), **entries)
    with pytest.raises(ValueError, match="leaves its buffer"):
        ndbuf.view(Has(__array_interface__=interface))


@pytest.mark.parametrize("typestr, format", [
    ("|b1", NATIVE + "?"), ("<i2", "<h"), (">i4", ">i"), ("<u8", "<Q"), ("<f2", "<e"), (">f8", ">d"), ("<c8", "<Zf"),
    (">c16", ">Zd"), ("|S5", "5s"), ("<U3", "<3w"), (">U2", ">2w"), ("|V6", "6x::"), ("=i4", NATIVE + "i"),
    ("<M8[ns]", "8x::"), (">m8[25us]", "8x::"), ("<M8", "8x::"), (SWAPPED + "f16", "16x::"), (SWAPPED + "c32", "32x::"),
])
def test_every_kind_of_typestr(typestr, format):
    view = ndbuf.view(array_of(bytearray(64), typestr=typestr, shape=(2,)))
    assert view.format == ndbuf.zeros((), format).format and view.itemsize == ndbuf.zeros((), format).itemsize


DESCR = [("a", "<i2"), ("", "|V2"), (("a title", "b"), ">f4", (2,)), ("c", [("d", "|u1"), ("e", "|S3")])]


def test_a_descr_becomes_a_record():
    view = ndbuf.view(array_of(bytearray(64), typestr="|V16", descr=DESCR, shape=(2,)))
    view[1] = (1, [2.0, 3.0], (4, b"xyz"))
    assert view.tolist() == [(0, [0.0, 0.0], (0, bytes(3))), (1, [2.0, 3.0], (4, b"xyz"))]
    assert view["c.e"][1] == b"xyz" and view["b"].format == ">f"


@pytest.mark.parametrize("entries, error", [
    (dict(typestr="<i"), ValueError), (dict(typestr="i4"), ValueError), (dict(typestr=""), ValueError),
    (dict(typestr="<i3"), TypeError), (dict(typestr="<M4"), TypeError), (dict(typestr="|O8"), TypeError),
    (dict(typestr="<M8[ns"), ValueError), (dict(typestr="<i4[ns]"), ValueError), (dict(typestr="|O"), TypeError),
    (dict(typestr="|V4", descr=[("a", "<i2"), ("a", "<i2")]), ValueError),
    (dict(typestr="<i-4"), ValueError), (dict(typestr="<i\u0664"), ValueError), (dict(shape=(-1,)), ValueError),
    (dict(shape=(2 ** 62, 4)), ValueError), (dict(shape=(3,), strides=(2 ** 62,)), ValueError),
    (dict(shape=(2,), strides=(2, 2)), ValueError), (dict(shape=("2",)), TypeError),
    (dict(data=(0, False)), ValueError),
    (dict(mask=object()), BufferError), (dict(typestr="|V4", descr=[("a", "<i2")]), ValueError),
    (dict(typestr="|V2", descr=[("a:<i:b", "<i2")]), ValueError), (dict(data=object()), TypeError),
])
def test_array_interfaces_that_cannot_be_are_refused(entries, error):
    with pytest.raises(error):
        ndbuf.view(array_of(bytearray(64), **entries))


@pytest.mark.parametrize("format", [
    NATIVE + "i", SWAPPED + "d", "?", "3s", ">4w", "Zd", "T{<i:a:>d:b:}", "T{<h:a:2x(2,3)<f:m:3s:s:x}", "5x::", "g",
])
def test_exported_interfaces_are_read_back_the_same(format):
    view = ndbuf.zeros((2, 3), format)[:, ::2]
    again = ndbuf.view(Has(__array_interface__=view.__array_interface__, owner=view))
    assert (again.format, again.shape, again.strides, again._address) == (
        view.format, view.shape, view.strides, view._address)


@pytest.mark.parametrize("format", ["(2)T{<i:a:4x}", "T{T{<i:a:}:r:}", "<4u", "T{2x:bfloat16:}", "hi", "5p", "(2)i"])
def test_items_that_a_typestr_cannot_say_are_exported_as_opaque(format):
    view = ndbuf.zeros(2, format)
    whole = "|V%d" % view.itemsize
    interface = view.__array_interface__
    assert (interface["typestr"], interface["descr"]) == (whole, [("", whole)])


def test_read_only_memory_is_exported_as_such():
    assert ndbuf.view(b"ab").__array_interface__["data"][1] is True
    assert ndbuf.view(bytearray(2)).__array_interface__["data"][1] is False


def test_rows_behind_pointers_have_no_array_interface():
    from test_buffer import pillow_like
    view = ndbuf.view(pillow_like())
    assert not hasattr(view, "__array_interface__") and hasattr(view.copy(), "__array_interface__")


# -- __array_struct__ --


class ArrayStruct(ctypes.Structure):
    _fields_ = [("two", ctypes.c_int), ("nd", ctypes.c_int), ("typekind", ctypes.c_char), ("itemsize", ctypes.c_int),
                ("flags", ctypes.c_int), ("shape", ctypes.c_void_p), ("strides", ctypes.c_void_p),
                ("data", ctypes.c_void_p), ("descr", ctypes.c_void_p)]


new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype, new_capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


def struct_of(memory, extents=(2, 3), steps=(6, 2), kind=b"i", itemsize=2, flags=0x600, two=2, name=None):
    numbers = (ctypes.c_ssize_t * 8)(*extents, *steps)
    start = ctypes.addressof(numbers)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    struct = ArrayStruct(two, len(extents), kind, itemsize, flags, start, start + 8 * len(extents), address, None)
    return Has(__array_struct__=new_capsule(ctypes.addressof(struct), name, None), kept=(numbers, memory, struct))


def test_an_array_struct_is_taken_without_a_copy():
    memory = bytearray(range(12))
    view = ndbuf.view(struct_of(memory))
    assert view.shape == (2, 3) and view.format == NATIVE + "h" and view.tolist() == [WORDS[:3], WORDS[3:]]
    view[1, 2] = 0
    assert memory[10:] == bytes(2)
    assert ndbuf.view(struct_of(memory, flags=0x200)).readonly
    assert ndbuf.view(struct_of(memory, flags=0x400)).format == SWAPPED + "h"
    assert ndbuf.view(struct_of(bytearray(48), kind=b"U", itemsize=8, steps=(24, 8))).format == NATIVE + "2w"
    assert ndbuf.view(struct_of(bytearray(48), kind=b"M", itemsize=8, steps=(24, 8))).format == "<8x::"


@pytest.mark.parametrize("arguments", [dict(two=3), dict(kind=b"i", itemsize=-1), dict(kind=b"?"), dict(name=b"other")])
def test_array_structs_that_cannot_be_are_refused(arguments):
    with pytest.raises((ValueError, TypeError)):
        ndbuf.view(struct_of(bytearray(64), **arguments))


# -- __cuda_array_interface__ --

CUDA = [name for name in machine.DEVICES if name.startswith("cuda")]


@pytest.mark.parametrize("device", CUDA)
def test_cuda_memory_goes_by_its_interface_and_comes_back_on_its_device(device):
    view = ndbuf.full((3, 4), 7, "<f", device)[:, ::2]
    interface = view.__cuda_array_interface__
    assert interface["version"] == 3 and interface["typestr"] == "<f4" and interface["strides"] == (16, 8)
    for stream in (None, 1, 2):
        again = ndbuf.view(Has(__cuda_array_interface__=dict(interface, stream=stream), owner=view))
        assert again.device == device and again.tolist() == view.tolist()


@pytest.mark.parametrize("device", CUDA)
def test_cuda_interfaces_that_cannot_be_are_refused(device):
    owner = ndbuf.zeros(4, "<f", device)
    interface = owner.__cuda_array_interface__
    for entries, error in ((dict(stream=0), ValueError), (dict(mask=1), BufferError),
                           (dict(shape=(2 ** 40,), strides=None), ValueError)):
        with pytest.raises(error):
            ndbuf.view(Has(__cuda_array_interface__=dict(interface, **entries), owner=owner))


def test_memory_without_a_cuda_device_has_no_cuda_interface():
    assert not hasattr(ndbuf.zeros(3), "__cuda_array_interface__")


# -- Arrow --


@machine.on_every_device
def test_arrow_device_arrays_go_and_come_back(device):
    view = ndbuf.full((3, 4), 2.5, "<d", device)
    again = ndbuf.view(Has(__arrow_c_device_array__=lambda: view.__arrow_c_device_array__()))
    assert again.device == device and again.readonly and again.format == "<d" and again.tolist() == view.tolist()
    view.release()
    assert again.tolist() == [[2.5] * 4] * 3


def test_arrow_arrays_of_the_host_go_and_come_back():
    memory = bytearray(range(8))
    view = ndbuf.view(Has(__arrow_c_array__=ndbuf.view(memory).__arrow_c_array__))
    assert view.tolist() == list(range(8))
    with pytest.raises(BufferError):
        memory.clear()
    view.release()
    gc.collect()
    memory.clear()


@machine.on_devices_out_of_reach
def test_arrow_arrays_of_the_host_are_refused_elsewhere(device):
    with pytest.raises(BufferError, match="view.to"):
        ndbuf.zeros(3, "i", device).__arrow_c_array__()


def test_arrow_arrays_that_nobody_takes_are_released():
    memory = bytearray(8)
    pair = ndbuf.view(memory).__arrow_c_device_array__(None)
    with pytest.raises(BufferError):
        memory.clear()
    del pair
    memory.clear()


def test_what_arrow_cannot_say_is_refused():
    for view in (ndbuf.zeros((2, 3)).T, ndbuf.zeros(3, SWAPPED + "i"), ndbuf.zeros(3, "Zd"), ndbuf.zeros(())):
        with pytest.raises(BufferError):
            view.__arrow_c_device_array__()
    with pytest.raises(NotImplementedError, match="later"):
        ndbuf.zeros(3).__arrow_c_device_array__(later=1)
    ndbuf.zeros(3).__arrow_c_device_array__(requested_schema=None, later=None)


def test_arrow_capsules_are_taken_once_and_must_be_arrows():
    pair = ndbuf.zeros(3, "i").__arrow_c_device_array__()
    owner = Has(__arrow_c_device_array__=lambda: pair)
    assert ndbuf.view(owner).tolist() == [0, 0, 0]
    for answer in (pair, pair[::-1], pair[:1], None, (1, 2)):
        with pytest.raises((BufferError, ValueError)):
            ndbuf.view(Has(__arrow_c_device_array__=lambda: answer))


# -- the order --


def refuses(error):
    def refuse(*_, **__):
        raise error
    return refuse


def test_dlpack_is_taken_before_interfaces():
    producer = Producer(bytearray(24), (2, 3), (3, 1))
    producer.__array_interface__ = array_of(bytearray(12)).__array_interface__
    assert ndbuf.view(producer).shape == (2, 3) and len(producer.calls) == 1


@pytest.mark.parametrize("error", [BufferError("no"), TypeError("no"), ValueError("no"), NotImplementedError("no")])
def test_where_one_protocol_refuses_the_next_is_tried(error):
    owner = array_of(MEMORY)
    owner.__dlpack__, owner.__dlpack_device__ = refuses(error), lambda: (1, 0)
    assert ndbuf.view(owner).tolist() == WORDS


def test_the_first_reason_is_told_where_all_refuse():
    owner = Has(__dlpack__=refuses(BufferError("the first reason")), __dlpack_device__=lambda: (1, 0),
                __array_interface__=dict(typestr="no", shape=(1,), data=(1, False)))
    with pytest.raises(BufferError, match="the first reason"):
        ndbuf.view(owner)


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt(), MemoryError()])
def test_other_exceptions_go_through(error):
    owner = array_of(MEMORY)
    owner.__dlpack__, owner.__dlpack_device__ = refuses(error), lambda: (1, 0)
    with pytest.raises(type(error)):
        ndbuf.view(owner)


def test_an_exception_in_an_attribute_goes_through():
    class Broken:
        @property
        def __dlpack__(self):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ndbuf.view(Broken())


@pytest.mark.parametrize("thing", [None, 3, "text", [1, 2], object(), ndbuf, dict])
def test_what_has_no_memory_is_refused_by_its_type(thing):
    with pytest.raises(TypeError, match="neither the buffer protocol nor"):
        ndbuf.view(thing)


# -- what the release of memory may do --


@pytest.mark.parametrize("fail", [
    lambda owner: ndbuf.copy(bytearray(5), owner), lambda owner: ndbuf.zeros(7, "i").__setitem__(slice(None), owner),
    lambda owner: ndbuf.view(owner)[9], lambda owner: ndbuf.view(owner).explain(ndbuf.zeros(9)),
    lambda owner: ndbuf.view(owner).cast("5s"), lambda owner: ndbuf.view(owner).astype("i", "no"),
])
def test_an_exception_outlives_python_code_that_the_release_runs(fail):
    released = []

    class Owner(Has):
        def __del__(self):
            try:
                raise KeyError("in the finalizer")
            except KeyError:
                released.append(self)

    def make():
        owner = Owner(kept=array_of(bytearray(12)))
        owner.__array_interface__ = owner.kept.__array_interface__
        return owner

    with pytest.raises((ValueError, IndexError, TypeError)):
        fail(make())
    gc.collect()
    assert len(released) == 1
