#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lets PyTorch and CuPy share pointers and streams with libndbuf, and compares what comes out.

usage: gpu_check_peers.py LIBNDBUF

Exit status: 0 all agree; 1 something does not; 77 neither PyTorch nor CuPy is here with a GPU.
"""
import ctypes
import sys

INT64_P = ctypes.POINTER(ctypes.c_int64)
RELEASE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
LEGACY_STREAM = 1


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int32), ("native_code", ctypes.c_int32), ("message", ctypes.c_char * 248)]


class ViewSpec(ctypes.Structure):
    _fields_ = [("format", ctypes.c_void_p), ("byte_offset", ctypes.c_int64), ("ndim", ctypes.c_int32),
                ("flags", ctypes.c_uint32), ("shape", INT64_P), ("strides", INT64_P), ("suboffsets", INT64_P)]


class View(ctypes.Structure):
    """The frozen part of an ndbuf_view, and room for the rest."""
    _fields_ = [("abi_version", ctypes.c_uint32), ("flags", ctypes.c_uint32), ("device", ctypes.c_int32 * 2),
                ("handle", ctypes.c_void_p), ("byte_offset", ctypes.c_int64), ("storage_nbytes", ctypes.c_int64),
                ("nbytes", ctypes.c_int64), ("itemsize", ctypes.c_int64), ("ndim", ctypes.c_int32),
                ("reserved", ctypes.c_int32), ("format", ctypes.c_char_p), ("shape", ctypes.c_void_p),
                ("strides", ctypes.c_void_p), ("suboffsets", ctypes.c_void_p), ("ready", ctypes.c_void_p),
                ("owner", ctypes.c_void_p), ("release", RELEASE), ("rest", ctypes.c_char * 1024)]


class Library:
    def __init__(self, path):
        self.library = ctypes.CDLL(path)

    def call(self, name, *arguments):
        """Calls a function that takes an error last."""
        error = Error()
        if getattr(self.library, name)(*arguments, ctypes.byref(error)) != 0:
            raise RuntimeError("%s: %s" % (name, error.message.decode()))

    def get(self, name, *arguments):
        """The same, for one whose last argument is a pointer to a handle."""
        handle = ctypes.c_void_p()
        self.call(name, *arguments, ctypes.byref(handle))
        return handle

    def adopt(self, pointer, nbytes):
        return self.get("ndbuf_cuda_storage_adopt", ctypes.c_void_p(pointer), ctypes.c_size_t(nbytes),
                        ctypes.c_uint32(0), None, None)

    def view(self, storage, text, byte_offset, shape, strides):
        """A view of a storage; strides in bytes."""
        view = View()
        spec = ViewSpec()
        parsed = self.get("ndbuf_format_parse", text, ctypes.c_size_t(0))
        spec.format = parsed.value
        spec.byte_offset = byte_offset
        spec.ndim = len(shape)
        spec.shape = (ctypes.c_int64 * len(shape))(*shape)
        spec.strides = (ctypes.c_int64 * len(strides))(*strides)
        self.call("ndbuf_view_init", ctypes.byref(view), storage, ctypes.byref(spec))
        self.library.ndbuf_format_release(parsed)
        return view

    def queue(self, device, stream):
        return self.get("ndbuf_queue_import", device, ctypes.c_void_p(stream or LEGACY_STREAM))

    def copy(self, dst, src, queue):
        self.call("ndbuf_copy", ctypes.byref(dst), ctypes.byref(src), queue)

    def release(self, view, storage):
        view.release(ctypes.addressof(view))
        self.library.ndbuf_storage_release(storage)


class Sharing:
    """One copy whose sides belong to another library, in its stream."""
    def __init__(self, library, device):
        self.library = library
        self.device = device

    def copy(self, sides, stream):
        """sides: two of (base pointer, its bytes, byte offset, shape, strides in bytes), destination first."""
        views = []
        for pointer, nbytes, offset, shape, strides in sides:
            storage = self.library.adopt(pointer, nbytes)
            views.append((self.library.view(storage, b"<f", offset, shape, strides), storage))
        queue = self.library.queue(self.device, stream)
        self.library.copy(views[0][0], views[1][0], queue)
        for view, storage in views:
            self.library.release(view, storage)  # the copy keeps what it needs
        return queue

    def end(self, queue):
        self.library.call("ndbuf_queue_wait", queue)
        self.library.library.ndbuf_queue_release(queue)


def side_of_tensor(tensor):
    storage = tensor.untyped_storage()
    return (storage.data_ptr(), storage.nbytes(), tensor.storage_offset() * 4, list(tensor.shape),
            [stride * 4 for stride in tensor.stride()])


def check_torch(open_sharing):
    import torch
    if not torch.cuda.is_available():
        raise ImportError("PyTorch finds no GPU")
    sharing = open_sharing()
    results = []
    for name, stream in (("default stream", torch.cuda.default_stream()), ("own stream", torch.cuda.Stream())):
        for where in ("cuda", "pinned host"):
            base = torch.arange(64 * 128 * 96, dtype=torch.float32, device="cuda").reshape(64, 128, 96)
            source = base.permute(2, 0, 1)[1::2, :, 3:]
            target = torch.zeros(tuple(source.shape), dtype=torch.float32)
            target = target.pin_memory() if where != "cuda" else target.cuda()
            torch.cuda.synchronize()
            with torch.cuda.stream(stream):
                base.mul_(3)  # before the copy, in the same stream
                queue = sharing.copy((side_of_tensor(target), side_of_tensor(source)), stream.cuda_stream)
                if where == "cuda":
                    target.add_(1)  # behind it, without waiting
            sharing.end(queue)
            torch.cuda.synchronize()
            wanted = source.cpu() + (1 if where == "cuda" else 0)
            results.append(("PyTorch %s, to %s, %s" % (torch.__version__, where, name),
                            bool(torch.equal(target.cpu(), wanted))))
    return results


def side_of_array(array, base):
    return (base.data.ptr, base.nbytes, array.data.ptr - base.data.ptr, list(array.shape), list(array.strides))


def check_cupy(open_sharing):
    import cupy
    if not cupy.cuda.is_available():
        raise ImportError("CuPy finds no GPU")
    sharing = open_sharing()
    results = []
    for name, stream in (("null stream", cupy.cuda.Stream.null), ("own stream", cupy.cuda.Stream(non_blocking=True))):
        base = cupy.arange(64 * 128 * 96, dtype=cupy.float32).reshape(64, 128, 96)
        source = base.transpose(2, 0, 1)[::-2, :, ::-1]  # negative strides, too
        target = cupy.zeros(source.shape, dtype=cupy.float32)
        cupy.cuda.Device().synchronize()
        with stream:
            base *= 3
            queue = sharing.copy((side_of_array(target, target), side_of_array(source, base)), stream.ptr)
            target += 1
        sharing.end(queue)
        cupy.cuda.Device().synchronize()
        results.append(("CuPy %s, %s" % (cupy.__version__, name), bool((target == source + 1).all())))
    return results


def main():
    if len(sys.argv) != 2:
        print(__doc__)
        return 1
    library = Library(sys.argv[1])
    results = []
    absent = []
    for check in (check_torch, check_cupy):
        try:
            results += check(lambda: Sharing(library, library.get("ndbuf_device_open", b"cuda:0")))
        except ImportError as error:
            absent.append(str(error))
        except Exception as error:  # whatever the peer throws is the result of its check
            results.append(("%s: %s: %s" % (check.__name__, type(error).__name__, error), False))
    for name, agrees in results:
        print("%s: %s" % (name, "agrees" if agrees else "DIFFERS"))
    if not results:
        print("; ".join(absent))
        return 77
    print("%d of %d agree%s" % (sum(agrees for _, agrees in results), len(results),
                                "; " + "; ".join(absent) if absent else ""))
    return 0 if all(agrees for _, agrees in results) else 1


if __name__ == "__main__":
    sys.exit(main())
