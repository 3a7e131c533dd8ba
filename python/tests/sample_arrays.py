# SPDX-License-Identifier: Apache-2.0
"""NumPy arrays of all kinds of items and layouts."""
import numpy

INTEGERS = "b B h H i I l L q Q".split()
FLOATS = "e f d".split()
COMPLEX = "F D".split()
PLAIN = ["?"] + INTEGERS + FLOATS + COMPLEX  # what DLPack has, too
SWAPPED = [numpy.dtype(code).newbyteorder().str for code in PLAIN if numpy.dtype(code).itemsize > 1]
TEXTS = ["S5", "<U3", ">U2", "S1", "U1"]
LONG_DOUBLES = ["g", "G"]
RECORDS = {
    "plain": [("a", "<i4"), ("b", "<f8")],
    "padded": numpy.dtype([("a", "u1"), ("b", "f8"), ("c", "i2")], align=True),
    "big-endian": [("a", ">i4"), ("b", ">f8"), ("c", ">U4"), ("d", ">c8")],
    "mixed orders": [("a", ">i4"), ("b", "<i4"), ("c", "i1"), ("d", ">f2")],
    "nested": [("a", "i4"), ("b", [("x", "f4"), ("y", [("u", "u1"), ("v", ">i8")])]), ("c", "S3")],
    "sub-arrays": [("a", "i2", (2, 3)), ("b", ">f4", (4,)), ("c", [("x", "u1"), ("y", "i8", (2,))], (3,))],
    "far apart": {"names": ["a", "b"], "formats": ["u1", "<i4"], "offsets": [3, 8], "itemsize": 20},
    "one field": [("only", "<f4")],
    "names in Unicode": [("größe", "i4"), ("名", "f4")],
}


def sample(dtype, shape=(4, 6, 5), seed=1):
    """An array of items that all differ, where the type has that many."""
    dtype = numpy.dtype(dtype)
    generator = numpy.random.default_rng(seed)
    count = int(numpy.prod(shape))
    if dtype.kind in "US":
        letters = generator.integers(97, 123, count * 5, "u1")
        items = [bytes(letters[5 * i:5 * i + 5]) for i in range(count)]
        return numpy.array(items).astype(dtype).reshape(shape)
    if dtype.kind in "fc":
        values = generator.standard_normal(count) + (1j * generator.standard_normal(count) if dtype.kind == "c" else 0)
        return values.astype(dtype).reshape(shape)
    array = numpy.frombuffer(bytearray(generator.bytes(count * dtype.itemsize)), dtype=dtype)
    return (numpy.arange(count) % 3 == 0).reshape(shape) if dtype.kind == "b" else array.reshape(shape)


def _unaligned(array):
    memory = numpy.empty(array.nbytes + 1, "u1")[1:]
    moved = memory.view(array.dtype).reshape(array.shape)
    moved[...] = array
    return moved


def _field(array):
    record = numpy.zeros(array.shape, [("before", "u1"), ("it", array.dtype), ("behind", "u1")])
    record["it"] = array
    return record["it"]


def _readonly(array):
    array = array.copy()
    array.setflags(write=False)
    return array


def items_of(array):
    """The bytes of all items, field by field: what lies between fields is nobody's."""
    if array.dtype.names is None:
        return array.tobytes()
    return tuple(items_of(array[name]) for name in array.dtype.names)


# From an array of three axes, each of several items.
LAYOUTS = {
    "C": lambda a: a,
    "F": lambda a: numpy.asfortranarray(a),
    "a byte offset": lambda a: a[1:, 2:, 3:],
    "steps": lambda a: a[::2, 1::3, ::2],
    "axes exchanged": lambda a: a.transpose(1, 2, 0),
    "negative strides": lambda a: a[::-1, :, ::-2],
    "all negative": lambda a: a[::-1, ::-1, ::-1],
    "zero strides": lambda a: numpy.broadcast_to(a[:, :1], a.shape),
    "one item everywhere": lambda a: numpy.broadcast_to(a[:1, :1, :1], (3, 2, 4)),
    "one axis": lambda a: a.reshape(-1),
    "a new axis": lambda a: a[:, None],
    "extents of 1": lambda a: a[:1, :, 2:3],
    "0-d": lambda a: a[:1, :1, :1].reshape(()),
    "no items": lambda a: a[:, :0],
    "no items, offset": lambda a: a[2:, 6:, 1:],
    "a field of records": _field,
    "not aligned": _unaligned,
    "read-only": _readonly,
    "32 axes": lambda a: a.reshape(a.shape + (1,) * 29),
}

# What DLPack cannot say, or must not.
NOT_IN_DLPACK = {"negative strides", "all negative", "a field of records"}
