# SPDX-License-Identifier: Apache-2.0
"""PyTorch on the CPU, in both directions."""
import gc
import subprocess
import sys
import weakref

import pytest
from leak_check import assert_no_leak

import ndbuf

torch = pytest.importorskip("torch")

# PyTorch's type: the format; those that only later versions have are left out where they are not there.
TYPES = {"bool": "<?", "uint8": "<B", "int8": "<b", "int16": "<h", "int32": "<i", "int64": "<q", "float16": "<e",
         "float32": "<f", "float64": "<d", "complex64": "<Zf", "complex128": "<Zd", "bfloat16": "T{<2x:bfloat16:}",
         "uint16": "<H", "uint32": "<I", "uint64": "<Q"}
TYPES = {name: text for name, text in TYPES.items() if hasattr(torch, name)}


def sample(name, shape=(4, 6, 5)):
    count = 1
    for extent in shape:
        count *= extent
    values = torch.arange(count)
    if name == "bool":
        return (values % 3 == 0).reshape(shape)
    return (values - 7 if name[0] != "u" else values).to(getattr(torch, name)).reshape(shape)


class _Key:
    """Its subscripts as they are."""

    def __getitem__(self, key):
        return key


key_of = _Key()

LAYOUTS = {
    "contiguous": lambda t: t,
    "steps": lambda t: t[::2, 1::3, ::2],
    "a byte offset": lambda t: t[1:, 2:, 3:],
    "axes exchanged": lambda t: t.permute(2, 0, 1),
    "zero strides": lambda t: t[:, :1].expand(4, 6, 5),
    "one item everywhere": lambda t: t[:1, :1, :1].expand(3, 2, 4),
    "extents of 1": lambda t: t[:1, :, 2:3],
    "overlapping windows": lambda t: t.reshape(-1).unfold(0, 4, 1),
    "0-d": lambda t: t[1, 2, 3],
    "no items": lambda t: t[:, :0],
}


def check_is_same(tensor, other):
    assert (other.dtype, other.shape, other.device) == (tensor.dtype, tensor.shape, tensor.device)
    assert torch.equal(other, tensor)
    if tensor.numel() > 0:
        assert other.data_ptr() == tensor.data_ptr()
        assert [step for step, extent in zip(other.stride(), other.shape) if extent > 1] == \
            [step for step, extent in zip(tensor.stride(), tensor.shape) if extent > 1]


@pytest.mark.parametrize("name", TYPES)
def test_every_type_in_every_layout_goes_there_and_back(name):
    for layout in LAYOUTS:
        tensor = LAYOUTS[layout](sample(name))
        view = ndbuf.view(tensor)
        assert (view.format, view.shape, view.device, view.readonly) == (TYPES[name], tuple(tensor.shape), "cpu", False)
        if name != "bfloat16":
            assert view.tolist() == tensor.tolist()
        check_is_same(tensor, torch.from_dlpack(view))
        copy = torch.from_dlpack(view.copy())
        assert torch.equal(copy, tensor)
        assert copy.is_contiguous()


@pytest.mark.parametrize("name", TYPES)
def test_new_memory_is_pytorchs_to_fill(name):
    view = ndbuf.zeros((3, 4), TYPES[name])
    tensor = torch.from_dlpack(view)
    assert tensor.dtype == getattr(torch, name)
    assert not tensor.any()
    tensor[1:, ::2] = sample(name, (2, 2))
    assert torch.equal(torch.from_dlpack(view[1:, ::2]), sample(name, (2, 2)))


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2", "complex32"])
def test_types_without_a_format_are_refused(name):
    if not hasattr(torch, name):
        pytest.skip("this PyTorch has no " + name)
    tensor = torch.zeros(12, dtype=torch.uint8).view(getattr(torch, name))

    def exchange():
        with pytest.raises(BufferError):
            ndbuf.view(tensor)

    exchange()
    assert_no_leak(exchange, tensor, times=1000)


@pytest.mark.parametrize("text", [">i", "3s", "T{<i:a:<f:b:}", "^g", "(2)<i", "<w"])
def test_formats_without_a_type_are_refused(text):
    view = ndbuf.zeros(4, text)
    with pytest.raises(BufferError):
        torch.from_dlpack(view)


def test_what_one_side_writes_the_other_reads():
    tensor = torch.zeros(3, 4)
    view = ndbuf.view(tensor)
    view[1, ::2] = 5
    assert tensor[1].tolist() == [5, 0, 5, 0]
    torch.from_dlpack(view[:, 1]).fill_(-1)
    assert tensor[:, 1].tolist() == [-1] * 3
    ndbuf.copy(tensor.T, torch.arange(12.0).reshape(4, 3))
    assert torch.equal(tensor, torch.arange(12.0).reshape(4, 3).T)
    view[1:] = torch.full((4,), 9.0)
    assert tensor.tolist() == [[0, 3, 6, 9], [9] * 4, [9] * 4]
    view[...] = torch.tensor(2.0)
    assert tensor.tolist() == [[2] * 4] * 3


def test_a_tensor_can_be_copied_into_items_of_another_type():
    target = torch.zeros(2, 3, dtype=torch.float64)
    ndbuf.copy(target, torch.arange(6, dtype=torch.int16).reshape(2, 3), casting="safe")
    assert target.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("key", [key_of[::-1], key_of[:, 3::-1], key_of[::-1, ::-2]], ids=repr)
def test_pytorch_is_never_handed_negative_strides(key):
    view = ndbuf.view(torch.arange(50).reshape(5, 10))[key]
    with pytest.raises(BufferError, match="negative"):  # PyTorch's own would be a RuntimeError, or the process's end
        torch.from_dlpack(view)
    tensor = torch.from_dlpack(view.copy())
    assert tensor.tolist() == view.tolist()


def test_read_only_memory_goes_only_to_a_pytorch_that_can_know():
    view = ndbuf.view(b"abcd")
    if torch.__version__ >= (2, 9):
        assert torch.from_dlpack(view).tolist() == list(b"abcd")  # PyTorch knows, and lets whoever likes write
    else:
        with pytest.raises(BufferError):  # since a tensor from before 1.0, which it asks for, cannot say so
            torch.from_dlpack(view)


def test_a_tensor_that_needs_a_gradient_is_refused():
    tensor = torch.zeros(3, requires_grad=True)
    with pytest.raises(BufferError):
        ndbuf.view(tensor)
    assert ndbuf.view(tensor.detach()).tolist() == [0, 0, 0]


def test_a_conjugate_is_refused_since_its_memory_is_not():
    with pytest.raises(BufferError):
        ndbuf.view(torch.zeros(3, dtype=torch.complex64).conj())


def test_sparse_tensors_are_refused():
    with pytest.raises((BufferError, RuntimeError, TypeError, ValueError)):
        ndbuf.view(torch.eye(3).to_sparse())


def test_whatever_goes_last_keeps_the_memory_and_then_lets_it_go():
    class Memory(bytearray):
        """With weak references."""

    for last_is_view in (True, False):
        memory = Memory(range(16))
        end = weakref.ref(memory)
        view = ndbuf.view(memory)
        tensor = torch.from_dlpack(view[4:])
        del memory
        if last_is_view:
            del tensor
            assert view[15] == 15
            del view
        else:
            del view
            assert tensor.tolist() == list(range(4, 16))
            del tensor
        gc.collect()
        assert end() is None


def test_a_tensors_memory_outlives_it():
    tensor = torch.arange(1000)
    view = ndbuf.view(tensor[500:])
    del tensor
    gc.collect()
    assert (view[0], view[-1]) == (500, 999)


EXCHANGES = {
    "view of a tensor": lambda tensor, view: ndbuf.view(tensor),
    "tensor of a view": lambda tensor, view: torch.from_dlpack(view),
    "there and back": lambda tensor, view: torch.from_dlpack(ndbuf.view(tensor)),
    "back and there": lambda tensor, view: ndbuf.view(torch.from_dlpack(view)),
    "copy": lambda tensor, view: ndbuf.copy(tensor, view),
}


@pytest.mark.parametrize("what", EXCHANGES)
def test_ten_thousand_exchanges_leave_nothing_behind(what):
    tensor = torch.arange(24).reshape(4, 6)
    view = ndbuf.view(torch.arange(24).reshape(4, 6))
    assert_no_leak(lambda: EXCHANGES[what](tensor, view), tensor, view)


def test_refused_exchanges_leave_nothing_behind():
    view = ndbuf.zeros(4, ">i")
    tensor = torch.zeros(3, requires_grad=True)

    def exchange():
        for call, argument in ((torch.from_dlpack, view), (ndbuf.view, tensor)):
            with pytest.raises(BufferError):
                call(argument)

    assert_no_leak(exchange, view, tensor, times=2000)


def test_pytorch_may_be_imported_before_or_after():
    for order in ("import torch, ndbuf", "import ndbuf, torch"):
        program = order + "; print(torch.from_dlpack(ndbuf.full(3, 7, 'i')).tolist())"
        assert subprocess.check_output([sys.executable, "-c", program], timeout=120).decode().strip() == "[7, 7, 7]"


def test_shapes_may_be_tensors():
    assert ndbuf.zeros(torch.tensor([2, 3])).shape == ndbuf.zeros(torch.zeros(2, 3).shape).shape == (2, 3)
    with pytest.raises(TypeError):
        ndbuf.zeros(torch.tensor([2.0, 3.0]))
