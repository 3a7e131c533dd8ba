# SPDX-License-Identifier: Apache-2.0
"""DLPack's C exchange API, called as another extension would, by ctypes; and by Apache TVM's FFI, if that is here."""
import ctypes
import os
import subprocess
import sys
import threading
from ctypes import POINTER, byref, c_char_p, c_int, c_int32, c_int64, c_void_p, py_object

import dlpack_peer
import machine
import pytest
from dlpack_peer import BFLOAT, COMPLEX, CPU, FLOAT, INT, UINT, Producer, Tensor, Versioned
from leak_check import assert_no_leak
from test_buffer import pillow_like

import ndbuf

SET_ERROR = ctypes.CFUNCTYPE(None, c_void_p, c_char_p, c_char_p)


class Api(ctypes.Structure):
    _fields_ = [("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("previous", c_void_p),
                # whose callers need not hold the interpreter's lock: ctypes lets go of it
                ("allocate", ctypes.CFUNCTYPE(c_int, POINTER(Tensor), POINTER(c_void_p), c_void_p, SET_ERROR)),
                # which raise what they set
                ("tensor_of", ctypes.PYFUNCTYPE(c_int, py_object, POINTER(c_void_p))),
                ("object_of", ctypes.PYFUNCTYPE(c_int, c_void_p, POINTER(c_void_p))),
                ("borrow", c_void_p),
                ("work_stream", ctypes.PYFUNCTYPE(c_int, c_int32, c_int32, POINTER(c_void_p)))]


def find_api(kind):
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = c_void_p, [py_object, c_char_p]
    return Api.from_address(get_pointer(kind.__dlpack_c_exchange_api__, b"dlpack_exchange_api"))


API = find_api(ndbuf.View)


class Exported:
    """The tensor of a View, until it is deleted."""

    def __init__(self, address):
        self.address = address
        self.managed = Versioned.from_address(address)
        tensor = self.managed.tensor
        self.device = (tensor.device_type, tensor.device_id)
        self.dtype = (tensor.code, tensor.bits, tensor.lanes)
        self.shape = tuple(tensor.shape[:tensor.ndim])
        self.strides = tuple(tensor.strides[:tensor.ndim])
        self.data = (tensor.data or 0) + tensor.byte_offset

    def delete(self):
        dlpack_peer.DELETER(self.managed.deleter)(self.address)


def export(view):
    out = c_void_p()
    assert API.tensor_of(view, byref(out)) == 0
    return Exported(out.value)


def take(address):
    out = c_void_p()
    assert API.object_of(address, byref(out)) == 0
    view = ctypes.cast(out, py_object).value
    ctypes.pythonapi.Py_DecRef(py_object(view))  # the reference that was returned
    return view


def allocate(device, dtype, shape, ndim=None):
    """A new tensor, or the error's kind and text."""
    said = []
    out = c_void_p()
    prototype = Tensor(None, *device, len(shape) if ndim is None else ndim, *dtype, (c_int64 * 65)(*shape))

    @SET_ERROR
    def set_error(context, kind, message):
        said.append((context, kind.decode(), message.decode()))

    status = API.allocate(byref(prototype), byref(out), 1234, set_error)
    if status == 0:
        assert not said
        return Exported(out.value)
    assert status == -1 and len(said) == 1 and said[0][0] == 1234
    return said[0][1:]


def test_the_type_has_the_table_itself():
    assert (API.major, API.minor) == (1, 3) and API.previous is None and API.borrow is None
    assert ndbuf.zeros(1).__dlpack_c_exchange_api__ is ndbuf.View.__dlpack_c_exchange_api__


@machine.on_every_device
def test_a_view_goes_out_and_comes_back(device):
    view = ndbuf.view(memoryview(bytearray(range(96))).cast("h", (6, 8))).to(device)[1:5, ::2]
    tensor = export(view)
    assert tensor.device == view.__dlpack_device__() and tensor.dtype == (INT, 16, 1)
    assert tensor.shape == (4, 4) and tensor.strides == (8, 2)
    assert view._address is None or tensor.data == view._address
    expected = view.tolist()
    view.release()
    again = take(tensor.address)
    assert again.device == device and again.tolist() == expected and not again.readonly
    export(again[1:]).delete()  # what came in after the work of a stream goes out before what that does next


def test_read_only_memory_goes_out_as_such():
    tensor = export(ndbuf.view(b"abc"))
    assert tensor.managed.flags == dlpack_peer.READ_ONLY
    assert take(tensor.address).readonly


def test_what_shares_a_copy_is_none():
    view = ndbuf.view(Producer(bytearray(16), (3,), (1,), flags=dlpack_peer.IS_COPIED))
    tensor = export(view)
    assert (tensor.managed.flags, tensor.data) == (0, view._address)
    tensor.delete()


@pytest.mark.parametrize("make", [
    lambda: ndbuf.zeros(3, "<i")[::-1], lambda: ndbuf.zeros(3, ">i"), lambda: ndbuf.zeros(3, "T{<i:a:<f:b:}"),
    lambda: ndbuf.zeros((2, 2), "T{<h:a:B:b:}")["a"], lambda: ndbuf.view(pillow_like())], ids=[
    "negative strides", "byte order", "records", "strides of odd bytes", "rows behind pointers"])
def test_what_a_tensor_cannot_say_is_refused(make):
    view = make()
    with pytest.raises(BufferError):
        export(view)


def test_a_released_view_is_refused():
    view = ndbuf.zeros(3)
    view.release()
    with pytest.raises(ValueError, match="released"):
        export(view)


def test_a_tensor_is_taken_and_deleted_by_its_last_user():
    memory = bytearray(range(64))
    producer = Producer(memory, (2, 3), (1, 2), offset=4)
    capsule = producer.capsule()
    view = take(ctypes.addressof(producer.managed))
    part = view[1:]
    expected = memoryview(memory).cast("i")
    assert view.tolist() == [[expected[1 + i + 2 * k] for k in range(3)] for i in range(2)]
    del view
    assert dlpack_peer.alive
    thread = threading.Thread(target=part.release)
    thread.start()
    thread.join()
    assert not dlpack_peer.alive
    del capsule


@pytest.mark.parametrize("arguments, error", [
    (dict(version=(2, 0)), BufferError), (dict(ndim=-1), ValueError), (dict(code=99), BufferError),
    (dict(device=(99, 0)), BufferError), (dict(memory=None), ValueError)])
def test_a_bad_tensor_is_an_error_and_is_deleted_once(arguments, error):
    whole = dict(memory=bytearray(64), extents=(2, 3), steps=(3, 1))
    producer = Producer(**{**whole, **arguments})

    def exchange():
        producer.capsule()
        with pytest.raises(error):
            take(ctypes.addressof(producer.managed))
        assert not dlpack_peer.alive

    exchange()
    assert_no_leak(exchange, producer, times=300)


@machine.on_every_device
@pytest.mark.parametrize("dtype, format", [
    ((FLOAT, 32, 1), "<f"), ((UINT, 8, 1), "<B"), ((COMPLEX, 128, 1), "<Zd"), ((BFLOAT, 16, 1), None),
    ((FLOAT, 32, 4), "(4)<f")])
def test_new_tensors_are_packed(device, dtype, format):
    tag = ndbuf.zeros(1, device=device).__dlpack_device__()
    tensor = allocate(tag, dtype, (3, 0, 2))
    assert tensor.shape == (3, 0, 2)
    tensor.delete()
    tensor = allocate(tag, dtype, (3, 5))
    assert (tensor.device, tensor.dtype, tensor.shape, tensor.strides) == (tag, dtype, (3, 5), (5, 1))
    if dtype[2] == 1:
        view = take(tensor.address)
        assert view.device == device and not view.readonly and format in (None, view.format)
        view[...] = view.copy()
    else:
        tensor.delete()
    scalar = allocate(tag, dtype, ())
    assert scalar.shape == () and scalar.dtype == dtype
    scalar.delete()


@pytest.mark.parametrize("device, dtype, shape, ndim, kind", [
    (CPU, (FLOAT, 32, 1), (2, 3), -1, "ValueError"),
    (CPU, (FLOAT, 32, 1), (1,) * 65, 65, "ValueError"),
    (CPU, (FLOAT, 32, 1), (2, -3), 2, "ValueError"),
    (CPU, (FLOAT, 64, 1), (2 ** 32, 2 ** 32), 2, "ValueError"),
    (CPU, (FLOAT, 64, 1), (2 ** 57,), 1, "MemoryError"),
    (CPU, (FLOAT, 8, 1), (2,), 1, "BufferError"),
    (CPU, (99, 32, 1), (2,), 1, "BufferError"),
    ((99, 0), (FLOAT, 32, 1), (2,), 1, "BufferError"),
    ((2, 77), (FLOAT, 32, 1), (2,), 1, "BufferError")])
def test_new_tensors_that_cannot_be_are_errors(device, dtype, shape, ndim, kind):
    def ask():
        said = allocate(device, dtype, shape, ndim)
        assert said[0] == kind and said[1]

    ask()
    assert_no_leak(ask, device, times=300)


def test_the_stream_to_work_in():
    for device in machine.DEVICES:
        tag = ndbuf.zeros(1, device=device).__dlpack_device__()
        out = c_void_p(99)
        assert API.work_stream(*tag, byref(out)) == 0
        assert out.value == (1 if device.split(":")[0] in ("cuda", "cuda_managed") else None)


def test_exports_leave_nothing_behind():
    view = ndbuf.zeros((3, 4), "<f")

    def exchange():
        take(export(view).address).release()
        export(view).delete()

    assert_no_leak(exchange, view, times=600)


# -- Apache TVM's FFI --

# In a process of its own: it keeps each type that it has seen, and so the devices that the module has open.
PROGRAM = """
import ndbuf, tvm_ffi
view = ndbuf.zeros((3, 4), "<f")
tensor = tvm_ffi.from_dlpack(view)
view[1, 2] = 5
assert tensor.shape == (3, 4) and ndbuf.view(tensor).tolist() == view.tolist()
given = tvm_ffi.get_global_func("testing.echo")(view)
assert type(given) is ndbuf.View and given._address == view._address
"""


def test_tvm_takes_views_and_gives_them_back():
    pytest.importorskip("tvm_ffi")
    environment = {name: value for name, value in os.environ.items() if name != "NDBUF_CUDART"}
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True, timeout=120)
