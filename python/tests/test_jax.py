# SPDX-License-Identifier: Apache-2.0
"""JAX on the CPU, in both directions. Its arrays are read-only, and it copies what does not suit it."""
import pytest
from leak_check import assert_no_leak

import ndbuf

jax = pytest.importorskip("jax")
numpy = pytest.importorskip("numpy")

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")

TYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
         "float64", "complex64", "complex128"]


def sample(name, shape=(4, 6)):
    return jax.numpy.arange(numpy.prod(shape)).reshape(shape).astype(name)


@pytest.mark.parametrize("name", TYPES)
def test_every_type_goes_there_and_back(name):
    array = sample(name)
    view = ndbuf.view(array)
    assert view.readonly
    assert view.tolist() == array.tolist()
    assert numpy.asarray(view).dtype == name
    back = jax.dlpack.from_dlpack(view.copy())
    assert back.dtype == array.dtype
    assert (back == array).all()


class Producer:
    """Gives the tensors of a View, and keeps what it was asked for."""

    def __init__(self, view):
        self.view, self.asked = view, {}

    def __dlpack__(self, **asked):
        self.asked = asked
        return self.view.__dlpack__(**asked)

    def __dlpack_device__(self):
        return self.view.__dlpack_device__()


def test_read_only_memory_goes_to_jax_where_it_can_know():
    """By DLPack JAX before 0.12 asks for a tensor from before 1.0, which cannot say so."""
    view = ndbuf.view(sample("int32"))
    producer = Producer(view)
    try:
        assert jax.dlpack.from_dlpack(producer).tolist() == view.tolist() and "max_version" in producer.asked
    except BufferError as error:
        assert "read-only" in str(error) and producer.asked.get("max_version") is None
    assert jax.numpy.asarray(view).tolist() == view.tolist()


def test_bfloat16_goes_there_and_back():
    array = sample("bfloat16")
    view = ndbuf.view(array)
    assert view.format == "T{<2x:bfloat16:}" and view.readonly
    assert (jax.dlpack.from_dlpack(view.copy()) == array).all()


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1, 1, 5), (2, 3, 4, 5)], ids=str)
def test_shapes_go_there_and_back(shape):
    array = sample("int32", shape)
    assert ndbuf.view(array).shape == shape
    assert jax.dlpack.from_dlpack(ndbuf.view(array).copy()).tolist() == array.tolist()


@pytest.mark.parametrize("change", [lambda view: view.T, lambda view: view[1:, ::2], lambda view: view[2:3]],
                         ids=["transposed", "steps", "a row"])
def test_layouts_go_out(change):
    view = change(ndbuf.view(numpy.arange(24, dtype="f4").reshape(4, 6)))
    assert jax.numpy.asarray(view).tolist() == view.tolist()


def test_an_array_can_be_copied_from_but_not_into():
    array = sample("float32")
    target = numpy.zeros((4, 6))
    ndbuf.copy(target, array, casting="safe")
    assert (target == array).all()
    with pytest.raises(TypeError):
        ndbuf.copy(array, target, casting="unsafe")


def test_what_jax_holds_outlives_the_view():
    array = jax.dlpack.from_dlpack(ndbuf.full((3, 4), 7, "i"))
    assert (array == 7).all()


def test_ten_thousand_exchanges_leave_nothing_behind():
    array = sample("float32")
    view = ndbuf.zeros((4, 6), "f")
    assert_no_leak(lambda: ndbuf.view(array), array)
    assert_no_leak(lambda: jax.dlpack.from_dlpack(view), view, times=3000)
