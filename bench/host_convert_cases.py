# SPDX-License-Identifier: Apache-2.0
"""The converting copies that compare_convert.py measures: each conversion in each layout at each size.

A case is named CONVERSION.LAYOUT.SIZE: "f4_f8.transposed.64M". Its size is that of the items on the larger side.
"""
import math

# Destination and source in NumPy's words, and whether only the byte order differs. They are little-endian unless said
# otherwise: ndbuf and NumPy take '=' on a little-endian machine for the same.
CONVERSIONS = {
    "swap2": ("<i2", ">i2", True),
    "swap4": ("<f4", ">f4", True),
    "swap8": ("<f8", ">f8", True),
    "swap_c16": ("<c16", ">c16", True),
    "f4_f8": ("<f8", "<f4", False),
    "f8_f4": ("<f4", "<f8", False),
    "i2_f4": ("<f4", "<i2", False),
    "f4_e": ("<f2", "<f4", False),
    "e_f4": ("<f4", "<f2", False),
    "i4_f4": ("<f4", "<i4", False),
    "u1_f4": ("<f4", "u1", False),
    "bool_f4": ("<f4", "?", False),
    "i8_i4": ("<i4", "<i8", False),
    "c16_c8": ("<c8", "<c16", False),
    "f8_c16": ("<c16", "<f8", False),
    "i2_c8": ("<c8", "<i2", False),
    "i2_i1": ("i1", "<i2", False),
    "i1_bool": ("?", "i1", False),
    "record_swap": ([("a", "<i4"), ("b", "<f8"), ("c", "<i2")], [("a", ">i4"), ("b", ">f8"), ("c", ">i2")], True),
    "record_narrow": ([("a", "<i4"), ("b", "<f4"), ("c", "<f4")], [("a", "<i8"), ("b", "<f8"), ("c", "<f8")], False),
    "record_padded": ([("a", "<i4"), ("b", "<f8")], {"names": ["a", "b"], "formats": ["<i4", "<f8"], "offsets": [0, 8],
                                                    "itemsize": 16}, False),
}
SIZES = {"64K": 1 << 16, "1M": 1 << 20, "64M": 1 << 26}


def packed(shape, itemsize):
    strides, step = [], itemsize
    for extent in reversed(shape):
        strides.insert(0, step)
        step *= extent
    return strides


def square(nitems):
    rows = 1 << (nitems.bit_length() // 2)
    return [rows, nitems // rows]


def cube(nitems):
    edge = max(2, round(nitems ** (1 / 3)) // 4 * 4)
    return [nitems // (edge * edge), edge, edge]


def side(strides, offset=0):
    return {"strides": strides, "offset": offset}


def contiguous(nitems, to, source):
    return [nitems], side([to]), side([source])


def strided(nitems, to, source):
    """Every second item."""
    return [nitems], side([to]), side([2 * source])


def gapped(nitems, to, source):
    """Every second item to every third one."""
    return [nitems], side([3 * to]), side([2 * source])


def transposed(nitems, to, source):
    shape = square(nitems)
    return shape, side(packed(shape, to)), side(packed(shape[::-1], source)[::-1])


def permuted(nitems, to, source):
    """The first of three axes is the innermost one of the source."""
    shape = cube(nitems)
    back = packed([shape[1], shape[2], shape[0]], source)
    return shape, side(packed(shape, to)), side([back[2], back[0], back[1]])


def flipped(nitems, to, source):
    """The inner axis backwards."""
    shape = square(nitems)
    return shape, side(packed(shape, to)), side([shape[1] * source, -source], (shape[1] - 1) * source)


def broadcast(nitems, to, source):
    """One row to all."""
    shape = square(nitems)
    return shape, side(packed(shape, to)), side([0, source])


LAYOUTS = {one.__name__: one for one in (contiguous, strided, gapped, transposed, permuted, flipped, broadcast)}


def span_of(shape, side_of, itemsize):
    """Bytes from the start of the buffer to behind the last item."""
    return side_of["offset"] + itemsize + sum(
        stride * (extent - 1) for extent, stride in zip(shape, side_of["strides"]) if stride > 0)


def read_from(shape, side_of, itemsize):
    """Bytes of a source that are read at least once: those of an axis of stride 0 but once."""
    return itemsize * math.prod(extent for extent, stride in zip(shape, side_of["strides"]) if stride != 0)


def all_cases(itemsize_of):
    """Dictionaries with all that a case is; itemsize_of(dtype) gives bytes."""
    cases = []
    for conversion, (to, source, is_swap) in CONVERSIONS.items():
        to_nbytes, source_nbytes = itemsize_of(to), itemsize_of(source)
        for layout, place in LAYOUTS.items():
            for size, nbytes in SIZES.items():
                nitems = nbytes // max(to_nbytes, source_nbytes)
                shape, dst, src = place(nitems, to_nbytes, source_nbytes)
                written = to_nbytes * math.prod(shape)
                read = read_from(shape, src, source_nbytes)
                cases.append({"name": "%s.%s.%s" % (conversion, layout, size), "conversion": conversion,
                              "layout": layout, "size": size, "shape": shape, "is_swap": is_swap,
                              "bytes_read": read, "bytes_written": written,
                              "dst": dict(dst, dtype=to, nbytes=span_of(shape, dst, to_nbytes)),
                              "src": dict(src, dtype=source, nbytes=span_of(shape, src, source_nbytes))})
    return cases
