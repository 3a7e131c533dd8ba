# SPDX-License-Identifier: Apache-2.0
"""PyTorch and CuPy on a GPU, in both directions and in streams of their own. They do not know the simulator."""
import pytest
from leak_check import assert_no_leak

import ndbuf

if not any(device.name == "cuda:0" and not device.simulated for device in ndbuf.devices()):
    pytest.skip("no GPU", allow_module_level=True)


def torch_with_gpu():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("PyTorch finds no GPU")
    return torch


def cupy_with_gpu():
    cupy = pytest.importorskip("cupy")
    if not cupy.cuda.is_available():
        pytest.skip("CuPy finds no GPU")
    return cupy


TORCH_TYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "complex64",
               "complex128", "bfloat16"]


@pytest.mark.parametrize("name", TORCH_TYPES)
def test_pytorchs_tensors_go_there_and_back(name):
    torch = torch_with_gpu()
    base = torch.arange(120, device="cuda").to(getattr(torch, name)).reshape(4, 6, 5)
    for tensor in (base, base[::2, 1::3], base.permute(2, 0, 1), base[:, :1].expand(4, 6, 5), base[1, 2, 3],
                   base[:, :0]):
        view = ndbuf.view(tensor)
        assert (view.device, view.shape) == ("cuda:0", tuple(tensor.shape))
        back = torch.from_dlpack(view)
        assert (back.dtype, back.device) == (tensor.dtype, tensor.device)
        assert torch.equal(back, tensor)
        assert back.data_ptr() == tensor.data_ptr() or tensor.numel() == 0
        assert torch.equal(torch.from_dlpack(view.to("cpu")), tensor.cpu())


def test_pytorch_fills_and_reads_in_its_own_stream():
    torch = torch_with_gpu()
    with torch.cuda.stream(torch.cuda.Stream()):
        for value in range(20):
            tensor = torch.zeros(1 << 22, dtype=torch.int32, device="cuda")
            tensor += value  # not waited for
            assert ndbuf.view(tensor)[-1] == value
            target = ndbuf.zeros(1 << 22, "<i", "cuda:0")
            ndbuf.copy(target, tensor)
            taken = torch.from_dlpack(target)
            taken += 1
            assert int(taken[-1]) == value + 1


def test_pytorchs_stream_takes_a_copy_of_ours():
    torch = torch_with_gpu()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        source = torch.arange(1 << 20, dtype=torch.float32, device="cuda").reshape(1024, 1024)
        target = torch.zeros_like(source)
        source *= 3
        ndbuf.copy(target, ndbuf.view(source)[::-1, ::-1], stream=stream)
        target += 1
    stream.synchronize()
    assert torch.equal(target, source.flip(0, 1) + 1)


def test_pytorch_is_never_handed_negative_strides():
    torch = torch_with_gpu()
    with pytest.raises(BufferError, match="negative"):
        torch.from_dlpack(ndbuf.view(torch.arange(50, device="cuda"))[::-1])


def test_pytorchs_tensors_leave_nothing_behind():
    torch = torch_with_gpu()
    tensor = torch.zeros(4, 6, device="cuda")
    view = ndbuf.zeros((4, 6), "f", "cuda:0")
    assert_no_leak(lambda: ndbuf.view(tensor), tensor)
    assert_no_leak(lambda: torch.from_dlpack(view), view)


CUPY_TYPES = ["?", "b", "B", "h", "H", "i", "I", "q", "Q", "e", "f", "d", "F", "D"]


@pytest.mark.parametrize("dtype", CUPY_TYPES)
def test_cupys_arrays_go_there_and_back(dtype):
    cupy = cupy_with_gpu()
    base = cupy.arange(120).astype(dtype).reshape(4, 6, 5)
    for array in (base, base[::2, 1::3], base.transpose(2, 0, 1), base[::-1, :, ::-2], base[:, :0], base[1, 2, 3:4]):
        view = ndbuf.view(array)
        assert (view.device, view.shape) == ("cuda:0", array.shape)
        back = cupy.asarray(view)
        assert back.dtype == array.dtype
        assert (back == array).all()
        assert back.data.ptr == array.data.ptr or array.size == 0
        assert view.tolist() == array.tolist()


def test_cupy_reads_tensors_of_ours():
    cupy = cupy_with_gpu()
    view = ndbuf.full((4, 6), 7, "<f", "cuda:0")
    array = cupy.from_dlpack(view)
    array += 1
    cupy.cuda.Stream.null.synchronize()
    assert view.tolist() == [[8] * 6] * 4


def test_cupy_fills_and_reads_in_its_own_stream():
    cupy = cupy_with_gpu()
    with cupy.cuda.Stream(non_blocking=True) as stream:
        for value in range(20):
            array = cupy.zeros(1 << 22, dtype="i4")
            array += value  # not waited for
            assert ndbuf.view(array)[-1] == value
            target = cupy.zeros(1 << 22, dtype="i4")
            ndbuf.copy(target, array[::-1], stream=stream)
            target += 1
            assert int(target[0]) == value + 1


def test_cupys_arrays_leave_nothing_behind():
    cupy = cupy_with_gpu()
    array = cupy.zeros((4, 6), dtype="f4")
    view = ndbuf.zeros((4, 6), "f", "cuda:0")
    assert_no_leak(lambda: ndbuf.view(array), array)
    assert_no_leak(lambda: cupy.asarray(view), view)
