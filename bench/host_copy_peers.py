# SPDX-License-Identifier: Apache-2.0
"""The ways to make a strided copy on the host that compare_host_copy.py holds against each other.

A contender is made for a case and its two buffers, and has time(count): the nanoseconds of one copy out of so many. One
that cannot make the copy of a case raises Unable. NumPy, PyTorch and memoryview's assignments are repeated in Python,
so what they take for small copies includes a call from Python; all else is repeated in C.
"""
import atexit
import ctypes
import itertools
import os
import platform
import time

MAX_ERROR = 256


class Unable(Exception):
    """This library cannot make that copy, for the reason given."""


class Absent(Exception):
    """This library is not here, for the reason given."""


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int32), ("native_code", ctypes.c_int32), ("message", ctypes.c_char * 248)]


class PyBuffer(ctypes.Structure):
    """CPython's Py_buffer."""
    _fields_ = [("buf", ctypes.c_void_p), ("obj", ctypes.c_void_p), ("len", ctypes.c_ssize_t),
                ("itemsize", ctypes.c_ssize_t), ("readonly", ctypes.c_int), ("ndim", ctypes.c_int),
                ("format", ctypes.c_char_p), ("shape", ctypes.c_void_p), ("strides", ctypes.c_void_p),
                ("suboffsets", ctypes.c_void_p), ("internal", ctypes.c_void_p)]


def is_contiguous(shape, strides):
    """Whether items lie in C order without gaps; strides count items."""
    expected = 1
    for extent, stride in zip(reversed(shape), reversed(strides)):
        if extent != 1 and stride != expected:
            return False
        expected *= extent
    return True


def repeat(function, first, second, count):
    """Nanoseconds of function(first, second), less than 20 of them the loop's."""
    counter = itertools.repeat(None, count)
    start = time.perf_counter_ns()
    for _ in counter:
        function(first, second)
    return (time.perf_counter_ns() - start) / count


class Ways:
    """libbench_host_copy_ways.so, and the team of threads of its memcpy."""
    NAMES = ("memcpy", "stream", "lines", "copy", "plan", "single")

    def __init__(self, folder, threads):
        os.environ["NDBUF_CPU_THREADS"] = str(threads)  # before ndbuf reads it
        path = os.path.join(folder, "libbench_host_copy_ways.so")
        self.library = ctypes.CDLL(path)
        self.holding = ctypes.PyDLL(path)  # the same, with the interpreter held: for functions of CPython
        library, pointer = self.library, ctypes.c_void_p
        for name, result, arguments in [
                ("host_copy_case_named", pointer, [ctypes.c_char_p]),
                ("host_copy_run_create", ctypes.c_int, [pointer, ctypes.POINTER(pointer), ctypes.POINTER(Error)]),
                ("host_copy_run_destroy", None, [pointer]),
                ("host_copy_run_dst", pointer, [pointer, ctypes.POINTER(ctypes.c_size_t)]),
                ("host_copy_run_src", pointer, [pointer, ctypes.POINTER(ctypes.c_size_t)]),
                ("host_copy_run_spoil", None, [pointer]),
                ("host_copy_run_is_right", ctypes.c_bool, [pointer]),
                ("host_copy_run_has", ctypes.c_bool, [pointer, ctypes.c_int]),
                ("host_copy_run_time", ctypes.c_int, [pointer, ctypes.c_int, ctypes.c_long,
                                                      ctypes.POINTER(ctypes.c_double), ctypes.POINTER(Error)]),
                ("host_copy_threads_start", ctypes.c_bool, [ctypes.c_int])]:
            function = getattr(library, name)
            function.restype = result
            function.argtypes = arguments
        to_contiguous = self.holding.host_copy_time_to_contiguous
        to_contiguous.restype = ctypes.c_bool
        to_contiguous.argtypes = [pointer, pointer, pointer, ctypes.c_ssize_t, ctypes.c_long,
                                  ctypes.POINTER(ctypes.c_double)]
        if not library.host_copy_threads_start(threads):
            raise RuntimeError("no thread")


class Run:
    """A case with its buffers. `one` points to it in C, if the library was not built with it."""

    def __init__(self, ways, case, one=None):
        self.ways = ways
        self.case = case
        self.error = Error()
        self.handle = ctypes.c_void_p()
        self.one = one or ways.library.host_copy_case_named(case["name"].encode())
        if self.one is None:
            raise RuntimeError("the library was built without the case " + case["name"])
        self.check(ways.library.host_copy_run_create(self.one, ctypes.byref(self.handle), ctypes.byref(self.error)))
        nbytes = ctypes.c_size_t()
        self.dst = ways.library.host_copy_run_dst(self.handle, ctypes.byref(nbytes))
        self.dst_buffer = (ctypes.c_char * nbytes.value).from_address(self.dst)
        self.src = ways.library.host_copy_run_src(self.handle, ctypes.byref(nbytes))
        self.src_buffer = (ctypes.c_char * nbytes.value).from_address(self.src)

    def check(self, status):
        if status != 0:
            raise RuntimeError("%s: status %d: %s" % (self.case["name"], status, self.error.message.decode()))

    def has(self, number):
        """Whether one of the ways in C can be taken."""
        return self.ways.library.host_copy_run_has(self.handle, number)

    def way(self, number):
        """time(count) of one of the ways in C."""
        ns = ctypes.c_double()

        def measure(count):
            self.check(self.ways.library.host_copy_run_time(self.handle, number, count, ctypes.byref(ns),
                                                            ctypes.byref(self.error)))
            return ns.value
        return measure

    def is_right_after(self, measure):
        """Whether a contender really makes the copy of this case."""
        self.ways.library.host_copy_run_spoil(self.handle)
        measure(1)
        return self.ways.library.host_copy_run_is_right(self.handle)

    def close(self):
        self.ways.library.host_copy_run_destroy(self.handle)


class NumpyPeer:
    name = "numpy"
    call = "numpy.copyto, repeated in Python"

    def __init__(self, _folder, _threads):
        try:
            import numpy
        except ImportError as error:
            raise Absent(str(error)) from error
        self.numpy = numpy
        self.version = numpy.__version__

    def contender(self, run):
        case, numpy = run.case, self.numpy
        dtype = numpy.dtype({1: "u1", 2: "u2", 4: "u4", 8: "u8", 16: "c16"}.get(case["itemsize"],
                                                                              "V%d" % case["itemsize"]))

        def view(buffer, side):
            return numpy.ndarray(case["shape"], dtype, buffer, case[side + "_offset"] * dtype.itemsize,
                                 [stride * dtype.itemsize for stride in case[side + "_strides"]])
        dst, src = view(run.dst_buffer, "dst"), view(run.src_buffer, "src")
        return lambda count: repeat(numpy.copyto, dst, src, count)


class TorchPeer:
    name = "torch"
    call = "torch.Tensor.copy_, repeated in Python"

    def __init__(self, _folder, threads):
        try:
            import torch
        except (ImportError, OSError) as error:
            raise Absent(str(error).split("\n", 1)[0]) from error
        self.torch = torch
        self.version = torch.__version__
        self.threads = threads
        torch.set_num_threads(threads)

    def contender(self, run):
        case, torch = run.case, self.torch
        dtype = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64, 16: torch.complex128}.get(
            case["itemsize"])
        if dtype is None:
            raise Unable("no items of %d bytes" % case["itemsize"])
        if min(case["src_strides"] + case["dst_strides"]) < 0:
            raise Unable("no negative strides")

        def view(buffer, side):
            count = len(buffer) // case["itemsize"]
            return torch.frombuffer(buffer, dtype=dtype, count=count).as_strided(
                case["shape"], case[side + "_strides"], case[side + "_offset"])
        dst, src = view(run.dst_buffer, "dst"), view(run.src_buffer, "src")
        copy = torch.Tensor.copy_

        def measure(count):
            ns = repeat(copy, dst, src, count)
            if self.threads > 1:
                time.sleep(0.005)  # its threads look for work a while, and would take it from the next contender
            return ns
        return measure


class MemoryviewPeer:
    """CPython's own: PyBuffer_ToContiguous where the destination is contiguous, else, of one axis, an assignment."""
    name = "memoryview"
    call = "PyBuffer_ToContiguous, repeated in C; between strided sides of one axis m[:] = n, repeated in Python"
    CODES = {1: b"B", 2: b"H", 4: b"I", 8: b"Q"}

    def __init__(self, _folder, _threads):
        if platform.python_implementation() != "CPython":
            raise Absent("this is " + platform.python_implementation())
        self.version = platform.python_version()
        make = ctypes.pythonapi.PyMemoryView_FromBuffer
        make.restype = ctypes.py_object
        make.argtypes = [ctypes.POINTER(PyBuffer)]
        self.make = make
        self.to_contiguous = ctypes.cast(ctypes.pythonapi.PyBuffer_ToContiguous, ctypes.c_void_p)

    def describe(self, run, side):
        """A Py_buffer, and what it points to."""
        case = run.case
        itemsize, ndim = case["itemsize"], len(case["shape"])
        shape = (ctypes.c_ssize_t * ndim)(*case["shape"])
        strides = (ctypes.c_ssize_t * ndim)(*[stride * itemsize for stride in case[side + "_strides"]])
        text = self.CODES.get(itemsize, b"%ds" % itemsize)
        start = getattr(run, side) + case[side + "_offset"] * itemsize
        buffer = PyBuffer(start, None, case["bytes"], itemsize, 0, ndim, text,
                          ctypes.cast(shape, ctypes.c_void_p), ctypes.cast(strides, ctypes.c_void_p), None, None)
        return buffer, (shape, strides, text)

    def contender(self, run):
        case = run.case
        src, src_kept = self.describe(run, "src")
        if is_contiguous(case["shape"], case["dst_strides"]) and case["dst_offset"] == 0:
            ns = ctypes.c_double()

            def measure(count, _kept=src_kept):
                if not run.ways.holding.host_copy_time_to_contiguous(self.to_contiguous, run.dst, ctypes.byref(src),
                                                                     case["bytes"], count, ctypes.byref(ns)):
                    raise RuntimeError("PyBuffer_ToContiguous failed")
                return ns.value
            return measure
        if len(case["shape"]) > 1:
            raise Unable("assigns nothing of more than one axis")
        if case["itemsize"] not in self.CODES:
            raise Unable("no items of %d bytes" % case["itemsize"])
        dst, dst_kept = self.describe(run, "dst")
        to, of = self.make(ctypes.byref(dst)), self.make(ctypes.byref(src))
        whole = slice(None)

        def assign(count, _kept=(src_kept, dst_kept)):
            counter = itertools.repeat(None, count)
            start = time.perf_counter_ns()
            for _ in counter:
                to[whole] = of
            return (time.perf_counter_ns() - start) / count
        return assign


class MpiPeer:
    name = "mpi"
    call = "MPI_Pack or MPI_Unpack of nested hvectors, repeated in C"

    def __init__(self, folder, _threads):
        path = os.path.join(folder, "libbench_host_copy_mpi.so")
        try:
            self.library = ctypes.CDLL(path)
        except OSError as error:
            raise Absent("built without MPICH" if not os.path.exists(path) else str(error)) from error
        pointer = ctypes.c_void_p
        self.library.host_copy_mpi_start.restype = ctypes.c_bool
        self.library.host_copy_mpi_start.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
        self.library.host_copy_mpi_create.restype = pointer
        self.library.host_copy_mpi_create.argtypes = [pointer, pointer, pointer]
        self.library.host_copy_mpi_destroy.argtypes = [pointer]
        self.library.host_copy_mpi_time.restype = ctypes.c_bool
        self.library.host_copy_mpi_time.argtypes = [pointer, ctypes.c_long, ctypes.POINTER(ctypes.c_double)]
        version = ctypes.create_string_buffer(MAX_ERROR)
        if not self.library.host_copy_mpi_start(version, MAX_ERROR):
            raise Absent("MPI does not start")
        atexit.register(self.library.host_copy_mpi_end)
        self.version = " ".join(version.value.decode("utf-8", "replace").split()).replace("Version: ", "")

    def contender(self, run):
        handle = self.library.host_copy_mpi_create(run.one, run.dst, run.src)
        if not handle:
            raise Unable("needs one contiguous side")
        ns = ctypes.c_double()

        def measure(count, _kept=Held(lambda: self.library.host_copy_mpi_destroy(handle))):
            if not self.library.host_copy_mpi_time(handle, count, ctypes.byref(ns)):
                raise RuntimeError("MPI_Pack failed")
            return ns.value
        return measure


class Held:
    """Gives something back when nobody holds it any more."""

    def __init__(self, give_back):
        self.give_back = give_back

    def __del__(self):
        self.give_back()


PEERS = (NumpyPeer, TorchPeer, MemoryviewPeer, MpiPeer)
