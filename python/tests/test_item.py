# SPDX-License-Identifier: Apache-2.0
"""Items as Python objects and back, beside the struct module."""
import random
import struct

import machine
import pytest

import ndbuf

INTEGERS = {"b": (1, True), "B": (1, False), "h": (2, True), "H": (2, False), "i": (4, True), "I": (4, False),
            "q": (8, True), "Q": (8, False)}


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("code", INTEGERS)
def test_integers_of_every_size_and_order_to_their_bounds(code, order):
    size, is_signed = INTEGERS[code]
    low, high = (-(1 << 8 * size - 1), (1 << 8 * size - 1) - 1) if is_signed else (0, (1 << 8 * size) - 1)
    view = ndbuf.empty(5, order + code)
    for k, value in enumerate((low, high, 0, 1, low + 1)):
        view[k] = value
    assert view.tolist() == [low, high, 0, 1, low + 1]
    assert view.tobytes() == struct.pack(order + "5" + code, low, high, 0, 1, low + 1)
    for value in (low - 1, high + 1):
        with pytest.raises(OverflowError):
            view[0] = value


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("code", "efd")
def test_floats_are_structs(code, order):
    values = (0.0, -1.5, 65504.0, float("inf"), 2.0 ** -14)
    view = ndbuf.empty(5, order + code)
    for k, value in enumerate(values):
        view[k] = value
    assert view.tobytes() == struct.pack(order + "5" + code, *values) and view.tolist() == list(values)
    view[0] = 3
    assert view[0] == 3.0


@pytest.mark.parametrize("value", [2 ** 63, 2 ** 64, 2 ** 70 + 1, -2 ** 63 - 1, -2 ** 100])
def test_integers_beyond_64_bits_are_numbers_to_floats_and_true(value):
    assert ndbuf.full((), value, "d")[()] == float(value)
    assert ndbuf.full((), value, ">f")[()] == ndbuf.full((), float(value), "f")[()]
    assert ndbuf.full((), value, "g")[()] == float(value)
    assert ndbuf.full((), value, "Zd")[()] == complex(value)
    assert ndbuf.full((), value, "T{2x:bfloat16:}")[()] == ndbuf.full((), float(value), "T{2x:bfloat16:}")[()]
    assert ndbuf.full((), value, "?")[()] is True


@pytest.mark.parametrize("value, format", [(2 ** 70, "e"), (2 ** 200, "f"), (10 ** 400, "d"), (10 ** 400, "Zd"),
                                           (-10 ** 400, "g"), (2 ** 64, "Q"), (-2 ** 70, "q")])
def test_integers_that_an_item_cannot_hold_overflow(value, format):
    with pytest.raises(OverflowError):
        ndbuf.full((), value, format)


def test_a_float_takes_what_has_float_and_no_text():
    class Half:
        def __float__(self):
            return 0.5

    view = ndbuf.zeros((), "f")
    view[()] = Half()
    assert view[()] == 0.5
    for value in ("1.5", bytearray(b"1.5")):
        with pytest.raises(TypeError):
            ndbuf.full((), (value,), "f")


@pytest.mark.parametrize("format", ["Zf", ">Zd", "F", "Zg"])
def test_complex_numbers(format):
    view = ndbuf.full(2, 1.5 - 2j, format)
    view[1] = 3
    assert view.tolist() == [1.5 - 2j, 3 + 0j]


def test_an_object_with_complex_keeps_both_halves():
    class Number:
        def __complex__(self):
            return 1 + 2j

        def __float__(self):
            return 1.0

    assert ndbuf.full((), Number(), "Zd")[()] == 1 + 2j


def test_booleans_bytes_and_text():
    assert ndbuf.full(2, True, "?").tolist() == [True, True] and ndbuf.full((), 7, "?")[()] is True
    assert ndbuf.full((), b"ab", "4s")[()] == b"ab\0\0" and ndbuf.full((), b"x", "c")[()] == b"x"
    assert ndbuf.full((), b"abcdef", "4s")[()] == b"abcd"
    for format in ("<5w", ">5w"):
        assert ndbuf.full((), "h\U0001f600\xe9", format)[()] == "h\U0001f600\xe9"
    assert ndbuf.full((), "\xe9a", ">3u")[()] == "\xe9a"
    assert ndbuf.full((), "\xe9a", "<3u").tobytes() == b"\xe9\0a\0\0\0"
    assert ndbuf.full((), b"ab", "5p").tobytes() == b"\2ab\0\0"


def test_bfloat16_is_rounded():
    view = ndbuf.full((), 1.00390625, "T{2x:bfloat16:}")
    assert view.tobytes() == b"\x80\x3f" and view[()] == 1.0


def test_opaque_items_are_bytes():
    assert ndbuf.zeros(2, "3x").tolist() == [bytes(3)] * 2
    assert ndbuf.zeros((), "3x:name:")[()] == (bytes(3),)


def test_records_without_names_are_tuples():
    view = ndbuf.full((), (1, 2.5, b"ab"), "<hd2s")
    assert view[()] == (1, 2.5, b"ab")
    assert view.tobytes() == struct.pack("<hd2s", 1, 2.5, b"ab")


@pytest.mark.parametrize("format, value", [
    ("(2)T{hi}", [(1, 2), (3, 4)]),
    ("T{(2)T{hi}b}", ([(1, 2), (3, 4)], 5)),
    ("T{b(2)T{h(3)i}}", (9, [(1, [2, 3, 4]), (5, [6, 7, 8])])),
    ("(2)T{(2)T{hB}i}", [([(1, 2), (3, 4)], 5), ([(6, 7), (8, 9)], 10)]),
    ("2i2i", ([1, 2], [3, 4])),
    ("(2,3)i", [[1, 2, 3], [4, 5, 6]]),
    ("T{(2)h:a:(2)h:b:}", ([1, 2], [3, 4])),
    ("T{(2)T{h:a:(2)b:b:}:r:}", ([(1, [2, 3]), (4, [5, 6])],)),
    ("(2)T{2sw}", [(b"ab", "x"), (b"cd", "y")]),
    ("(2)T{w2s}", [("x", b"ab"), ("y", b"cd")]),
])
def test_nested_items_come_back_as_they_went_in(format, value):
    view = ndbuf.full(2, value, format)
    assert view.tolist() == [value, value]


@pytest.mark.parametrize("format, value", [
    ("T{<i:a:<i:a:}", (1, 2)),
    ("T{<i:a:<h:b:<i:a:}", (1, 2, 3)),
    ("T{T{<i:x:<h:y:}:r:T{<i:x:}:r:}", (1, 2, 3)),
    ("T{<b:c:T{<i:a:<i:a:}:r:}", (1, (2, 3))),
    ("T{(2)T{<i:a:<i:a:}:r:<b:c:}", ([(1, 2), (3, 4)], 5)),
])
def test_records_with_repeated_names_are_read(format, value):
    view = ndbuf.full((2, 1), value, format)
    assert view[1, 0] == value and view.tolist() == [[value], [value]]


def test_values_of_records_lie_in_memory_as_struct_packs_them():
    view = ndbuf.full((), [(1, 2), (3, 4), (5, 6)], "<(3)T{hb}")
    assert view.tobytes() == struct.pack("<hbhbhb", 1, 2, 3, 4, 5, 6)


@pytest.mark.parametrize("value, error", [
    ((1,), ValueError), ((1, 2, 3), ValueError), (1, ValueError), ((1, "x"), TypeError), ((b"x", 1), TypeError),
    ((1, 2 ** 40), OverflowError), (("1", 2), TypeError),
])
def test_records_of_other_values_are_refused(value, error):
    with pytest.raises(error):
        ndbuf.full((), value, "hi")


def test_values_nested_without_end_are_refused():
    value = []
    value.append(value)
    with pytest.raises(RecursionError):
        ndbuf.full((), (value,), "i")


def test_addresses_can_be_read_but_not_written():
    view = ndbuf.zeros(2, "P")
    assert view.tolist() == [0, 0]
    with pytest.raises(TypeError, match="pointers"):
        view[0] = 1


@machine.on_every_device
def test_tolist_reads_any_layout_on_any_device(device):
    view = ndbuf.view(bytearray(range(24))).cast("<H", (3, 4)).to(device)
    rows = [[256 * (2 * k + 1) + 2 * k for k in range(4 * r, 4 * r + 4)] for r in range(3)]
    assert view.tolist() == rows
    assert view[::-1, ::3].tolist() == [row[::3] for row in rows[::-1]]
    assert view.T.tolist() == [list(column) for column in zip(*rows)]


@machine.on_every_device
def test_tobytes_in_each_order(device):
    view = ndbuf.view(bytearray(range(6))).reshape((2, 3)).to(device)
    assert view.tobytes() == view.tobytes("C") == view.tobytes(order=None) == view.tobytes("A") == bytes(range(6))
    assert view.tobytes("F") == bytes([0, 3, 1, 4, 2, 5])
    assert view.T.tobytes() == bytes([0, 3, 1, 4, 2, 5]) and view.T.tobytes("A") == bytes(range(6))
    assert view[:, ::-1].tobytes("A") == bytes([2, 1, 0, 5, 4, 3])
    for order in ("K", "", "CF"):
        with pytest.raises(ValueError, match="order"):
            view.tobytes(order)


def test_random_structs_come_back():
    seed = random.randrange(2 ** 32)
    choices = random.Random(seed)
    for _ in range(300):
        order = choices.choice("<>")
        codes = "".join(choices.choice("bBhHiIqQ") for _ in range(choices.randint(2, 9)))
        values = tuple(choices.randrange(0, 128) for _ in codes)
        view = ndbuf.view(struct.pack(order + codes, *values)).cast(order + codes)
        assert view.tolist() == [values] and view[0] == values, (seed, codes)
        assert ndbuf.full((), values, order + codes).tobytes() == struct.pack(order + codes, *values), (seed, codes)
