#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Asks a probe (PROTOCOL.md) for random conversions, and NumPy for the same.

usage: compare_numpy.py [--seed N] [--cases N] [--devices SRC/DST] [--show N] PROBE

  --cases N          conversions of each of three kinds: packed numbers, packed records, strided views (1500); the
                     casting rules are asked for all pairs of types in any case
  --devices SRC/DST  where strided views are from and to, as 'hello' names them; exit status 77 if one is not there
  --show N           tell about N differences of each kind (5)

Where NumPy's result is not defined (floats that do not fit into an integer), or is known to be another one than the
nearest (long doubles to float16, by way of float32), values are chosen that avoid it. A NaN is compared as such, with
its sign. NumPy pairs the fields of records by position, ndbuf by name: records are compared field by field. Prints how
many values and rules were compared. Exit status: 0 no difference; 1 some; 77 there is no NumPy or no device.
"""
import argparse
import random
import subprocess
import sys
import warnings
import zlib

try:
    import numpy
except ImportError as missing:
    print("without NumPy: %s" % missing, file=sys.stderr)
    sys.exit(77)

CODES = {"b1": "?", "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q",
         "f2": "e", "f4": "f", "f8": "d", "c8": "Zf", "c16": "Zd"}
LONG = {"g": "g", "G": "Zg"}  # x86-64's; only in the host's order
RULES = ("no", "equiv", "safe", "same_kind")
FILL = 0xA5  # of destinations
MAX_ITEMS_NBYTES = 30000  # of a record conversion, whose hexadecimal digits have to go into a line


class Failure(Exception):
    """The probe did not answer as it should."""


def encoded(text):
    return "".join(c if "!" <= c <= "~" and c not in "%=" else "%%%02X" % ord(c) for c in text)


def words(numbers):
    return ",".join(map(str, numbers)) or "-"


class Probe:
    """Requests are collected, asked together, and answered to what waits for them."""

    def __init__(self, command):
        self.command = command
        self.lines, self.readers = [], []

    def ask(self, line, reader):
        self.lines.append(line)
        self.readers.append(reader)

    def run(self):
        hello = "hello"
        done = subprocess.run([self.command], input="\n".join([hello] + self.lines) + "\n", stdout=subprocess.PIPE,
                              encoding="ascii", check=True)
        answers = done.stdout.splitlines()
        if len(answers) != len(self.lines) + 1:
            raise Failure("%d answers to %d requests" % (len(answers), len(self.lines) + 1))
        return [(line, reader(answer)) for line, reader, answer in zip(self.lines, self.readers, answers[1:])]

    def devices(self):
        answer = subprocess.run([self.command], input="hello\n", stdout=subprocess.PIPE, encoding="ascii", check=True)
        fields = dict(field.split("=", 1) for field in answer.stdout.split()[1:])
        return fields["devices"].split(",")


def field_of(answer, key):
    if not answer.startswith("ok "):
        return None
    return dict(field.split("=", 1) for field in answer.split(" ")[1:]).get(key)


# -- types --

def swapped_or_not(rng, code):
    return code if code in ("b1", "i1", "u1") or code in LONG else rng.choice("<>") + code


def plain_dtype(rng):
    return numpy.dtype(swapped_or_not(rng, rng.choice(list(CODES) + (list(LONG) if rng.random() < 0.3 else []))))


def format_of(dtype):
    """PEP 3118, written without NumPy's help."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return "(%s)%s" % (",".join(map(str, shape)), format_of(base))
    if dtype.names is None:
        if dtype.char in LONG:
            return "^" + LONG[dtype.char]
        order = "<" if dtype.byteorder in "=|<" else ">"
        return order + CODES["b1" if dtype.kind == "b" else "%s%d" % (dtype.kind, dtype.itemsize)]
    parts, position = [], 0
    for name in dtype.names:
        field, offset = dtype.fields[name][:2]
        parts.append("x" * (offset - position) + "%s:%s:" % (format_of(field), name))
        position = offset + field.itemsize
    return "T{%s}" % ("".join(parts) + "x" * (dtype.itemsize - position))


def record_dtype(rng, names, types):
    offsets, position = [], 0
    for one in types:
        position += rng.choice((0, 0, 1, 3))
        offsets.append(position)
        position += one.itemsize
    return numpy.dtype({"names": names, "formats": types, "offsets": offsets,
                        "itemsize": position + rng.choice((0, 0, 2))})


def record_pair(rng, depth=0):
    """(destination, source): the destination has some of the fields, in some order."""
    names = rng.sample(["a", "b", "c", "x", "id", "velocity"], rng.randint(1, 5))
    pairs = {}
    for name in names:
        if depth < 2 and rng.random() < 0.15:
            pair = record_pair(rng, depth + 1)
        else:
            pair = plain_dtype(rng), plain_dtype(rng)
        if rng.random() < 0.25:
            shape = tuple(rng.randint(1, 3) for _ in range(rng.randint(1, 2)))
            pair = tuple(numpy.dtype((one, shape)) for one in pair)
        pairs[name] = pair
    kept = names if rng.random() < 0.5 else rng.sample(names, rng.randint(1, len(names)))
    return (record_dtype(rng, kept, [pairs[name][0] for name in kept]),
            record_dtype(rng, names, [pairs[name][1] for name in names]))


def base_of(dtype):
    return dtype.base


# -- values --

def hard_integer(rng, dtype):
    bits = 8 * dtype.itemsize
    low = -(1 << (bits - 1)) if dtype.kind == "i" else 0
    high = low + (1 << bits) - 1
    chosen = rng.choice((rng.randint(low, high), rng.randint(-3, 3), low, high,
                         rng.choice((1, -1)) * ((1 << rng.randrange(bits)) + rng.randint(-2, 2)),
                         rng.choice((2049, 2051, 65519, 65520, 16777217, 16777219))))
    return min(max(chosen, low), high)


def hard_floats(rng, dtype, count):
    """Values of a real floating-point type, of all sizes."""
    chosen = []
    for _ in range(count):
        kind = rng.randrange(8)
        if kind == 0:
            chosen.append(rng.choice((0.0, -0.0, float("inf"), float("-inf"), float("nan"), -float("nan"))))
        elif kind < 4:  # integers and halves, and their neighbours
            value = rng.choice((1, -1)) * (2.0 ** rng.randint(-3, 66) + rng.choice((0, 0.5, 1, 1.5)))
            chosen.append(numpy.nextafter(value, rng.choice((0, numpy.inf))) if kind == 3 else value)
        elif kind < 6:  # around the ends of float16 and float32
            chosen.append(rng.uniform(-2, 2) * 2.0 ** rng.choice((-151, -149, -126, -25, -24, -14, 15, 16, 127, 128)))
        else:
            chosen.append(rng.uniform(-2, 2) * 2.0 ** rng.randint(-140, 140))
    with numpy.errstate(all="ignore"):
        values = numpy.array(chosen, "f8").astype(dtype)
        if dtype.itemsize > 8 and rng.random() < 0.7:  # bits that no double has
            values += values * numpy.longdouble(rng.choice((-1, 1))) * numpy.longdouble(2) ** -rng.choice((54, 60, 63))
    return values


def fits(values, to):
    """Which floats an integer type holds, without their fractions."""
    two = numpy.longdouble(2)
    with numpy.errstate(all="ignore"):
        whole = numpy.trunc(values.astype("g"))
        low, high = (-two ** (8 * to.itemsize - 1), two ** (8 * to.itemsize - 1)) if to.kind == "i" else (
            numpy.longdouble(0), two ** (8 * to.itemsize))
        return (whole >= low) & (whole < high)


def random_values(rng, dtype, to, count):
    """An array of `dtype` whose conversion to `to` NumPy defines."""
    if dtype.kind == "b":
        return numpy.array([rng.random() < 0.5 for _ in range(count)], dtype)
    if dtype.kind in "iu":
        return numpy.array([hard_integer(rng, dtype) for _ in range(count)], dtype)
    real = numpy.dtype({"f": dtype, "c": {8: "f4", 16: "f8"}.get(dtype.itemsize, "g")}[dtype.kind])
    halves = [hard_floats(rng, real, count) for _ in range(1 if dtype.kind == "f" else 2)]
    if to.kind in "iu":
        halves[0] = numpy.where(fits(halves[0], to), halves[0], real.type(rng.choice((0, 1.5, 100))))
    if to == numpy.dtype("f2").newbyteorder(to.byteorder) and real.itemsize > 8:
        with numpy.errstate(all="ignore"):
            halves = [half.astype("f4").astype(real) for half in halves]
    values = numpy.zeros(count, dtype)
    if dtype.kind == "f":
        values[:] = halves[0]
    else:
        values.real, values.imag = halves
    return values


def fill_record(rng, array, to):
    """Random values in all fields of an array of records, for a conversion to records of `to`."""
    for name in array.dtype.names:
        source = array[name]
        target = base_of(to.fields[name][0]) if name in to.names else base_of(to.fields[to.names[0]][0])
        base = base_of(array.dtype.fields[name][0])
        if base.names is not None:
            fill_record(rng, source, target if target.names is not None and name in to.names else base)
        else:
            if target.names is not None or name not in to.names:
                target = base
            source[...] = random_values(rng, base, target, source.size).reshape(source.shape)


def convert_record(out, array):
    """Field by field, by name."""
    for name in out.dtype.names:
        if base_of(out.dtype.fields[name][0]).names is not None:
            convert_record(out[name], array[name])
        else:
            with numpy.errstate(all="ignore"):
                out[name] = array[name]


# -- comparing --

def plain_bytes(array):
    """One row of bytes for each value."""
    flat = numpy.ascontiguousarray(array).reshape(-1)
    return flat.view("u1").reshape(flat.size, flat.dtype.itemsize)


def same_numbers(actual, expected):
    """Where two arrays of one plain type agree: bit by bit, but a NaN with any NaN of its sign."""
    if actual.dtype.kind == "c":
        return same_numbers(actual.real, expected.real) & same_numbers(actual.imag, expected.imag)
    used = 10 if actual.dtype.itemsize == 16 else actual.dtype.itemsize
    same = (plain_bytes(actual)[:, :used] == plain_bytes(expected)[:, :used]).all(axis=1)
    if actual.dtype.kind != "f":
        return same
    a, b = actual.reshape(-1), expected.reshape(-1)
    return same | (numpy.isnan(a) & numpy.isnan(b) & (numpy.signbit(a) == numpy.signbit(b)))


def compare_records(actual, expected):
    """(values compared, what differs or None)"""
    count = 0
    for name in actual.dtype.names:
        if base_of(actual.dtype.fields[name][0]).names is not None:
            inner, wrong = compare_records(actual[name], expected[name])
            count += inner
        else:
            same = same_numbers(actual[name], expected[name])
            count += same.size
            wrong = None if same.all() else "field %s: %s instead of %s" % (
                name, actual[name].reshape(-1)[~same][0], expected[name].reshape(-1)[~same][0])
        if wrong:
            return count, wrong
    return count, None


def padding_mask(dtype, nbytes):
    """Which bytes of an item no field covers."""
    mask = numpy.ones(nbytes, bool)
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        inner = padding_mask(base, base.itemsize)
        return numpy.tile(inner, int(numpy.prod(shape)))
    if dtype.names is None:
        return numpy.zeros(nbytes, bool)
    for name in dtype.names:
        field, offset = dtype.fields[name][:2]
        mask[offset:offset + field.itemsize] = padding_mask(field, field.itemsize)
    return mask


def leaves(dtype):
    """Where what lies in an item; equal for formats that ndbuf takes for equal."""
    def walk(one, offset, path, axes):
        if one.subdtype is not None:
            base, shape = one.subdtype
            walk(base, offset, path, axes + [(shape, base.itemsize)])
        elif one.names is not None:
            for name in one.names:
                field, at = one.fields[name][:2]
                walk(field, offset + at, path + [name], axes)
        else:
            found.append((path, offset, one.str, axes))
    found = []
    walk(dtype, 0, [], [])
    return dtype.itemsize, found


# -- the three kinds of conversions, and the rules --

def ask_number(rng, probe):
    to, source = plain_dtype(rng), plain_dtype(rng)
    count = rng.randint(1, 60)
    array = random_values(rng, source, to, count)
    with numpy.errstate(all="ignore"):
        expected = array.astype(to)

    def read(answer):
        data = field_of(answer, "data")
        if data is None:
            return 0, "answered '%s'" % answer
        actual = numpy.frombuffer(bytes.fromhex(data), to)
        if actual.size != count:
            return 0, "%d items of %d" % (actual.size, count)
        same = same_numbers(actual, expected)
        at = int(numpy.argmin(same))
        return count, None if same.all() else "%s of %s is %s, with NumPy %s" % (
            to, repr(array[at]), actual[at], expected[at])
    probe.ask("convert sfmt=%s dfmt=%s count=%d data=%s" % (
        encoded(format_of(source)), encoded(format_of(to)), count, array.tobytes().hex()), read)


def ask_record(rng, probe):
    to, source = record_pair(rng)
    while max(to.itemsize, source.itemsize) > MAX_ITEMS_NBYTES:
        to, source = record_pair(rng)
    count = min(rng.randint(1, 6), MAX_ITEMS_NBYTES // max(to.itemsize, source.itemsize))
    array = numpy.frombuffer(bytearray(rng.randbytes(source.itemsize * count)), source)
    fill_record(rng, array, to)
    expected = numpy.frombuffer(bytearray([FILL] * (to.itemsize * count)), to)
    convert_record(expected, array)

    def read(answer):
        data = field_of(answer, "data")
        if data is None:
            return 0, "answered '%s'" % answer
        actual = numpy.frombuffer(bytes.fromhex(data), to)
        if actual.size != count:
            return 0, "%d items of %d" % (actual.size, count)
        ncompared, wrong = compare_records(actual, expected)
        between = actual.view("u1")[numpy.tile(padding_mask(to, to.itemsize), count)]
        # Items of equal formats are copied whole.
        if wrong is None and leaves(to) != leaves(source) and (between != FILL).any():
            wrong = "padding was written"
        return ncompared, wrong
    probe.ask("convert sfmt=%s dfmt=%s count=%d data=%s" % (
        encoded(format_of(source)), encoded(format_of(to)), count, array.tobytes().hex()), read)


def pattern(seed, nbytes):
    """The bytes of PROTOCOL.md."""
    h = numpy.arange(nbytes, dtype="u4") * numpy.uint32(0x9E3779B1) + numpy.uint32(seed * 0x85EBCA77 & 0xFFFFFFFF)
    h ^= h >> numpy.uint32(15)
    h *= numpy.uint32(0x2C1B3C6D)
    h ^= h >> numpy.uint32(12)
    return (h & numpy.uint32(0xFF)).astype("u1")


def random_side(rng, shape, itemsize, overlaps):
    """(bytes of the buffer, offset, strides)"""
    order = rng.sample(range(len(shape)), len(shape))
    strides, offset, step = [0] * len(shape), rng.randint(0, 5), itemsize + rng.choice((0, 0, 1, 8))
    for axis in order:
        stride = step
        if overlaps and rng.random() < 0.2:
            stride = 0
        else:
            step = step * shape[axis] + rng.choice((0, 0, 3))
        if stride and rng.random() < 0.3:
            offset += stride * (shape[axis] - 1)
            stride = -stride
        strides[axis] = stride
    last = offset + sum(stride * (extent - 1) for stride, extent in zip(strides, shape) if stride > 0)
    return last + itemsize + rng.randint(0, 5), offset, strides


def numpy_says_all(array, to):
    """Whether no value's conversion is undefined, and no NaN's payload counts."""
    if array.dtype.kind not in "fc" or array.dtype == to.newbyteorder(array.dtype.byteorder):
        return True
    parts = (array.real, array.imag) if array.dtype.kind == "c" else (array,)
    if to.kind in "iu":
        return bool(fits(parts[0], to).all())
    return to.kind == "b" or not any(numpy.isnan(part).any() for part in parts)


def ask_view(rng, probe, devices):
    for _ in range(200):
        to, source = (numpy.dtype(swapped_or_not(rng, rng.choice(list(CODES)))) for _ in range(2))
        shape = [rng.randint(1, 7) for _ in range(rng.randint(0, 4))]
        seed = rng.randint(0, 2 ** 32 - 1)
        sbytes, soffset, sstrides = random_side(rng, shape, source.itemsize, True)
        dbytes, doffset, dstrides = random_side(rng, shape, to.itemsize, False)
        src = numpy.ndarray(shape, source, pattern(seed, sbytes), soffset, sstrides)
        if source.kind != "b" and numpy_says_all(src, to):
            break
    else:
        raise Failure("no conversion that NumPy defines was found")
    whole = numpy.full(dbytes, FILL, "u1")
    with numpy.errstate(all="ignore"):
        numpy.ndarray(shape, to, whole, doffset, dstrides)[...] = src
    expected = "%08x" % zlib.crc32(whole.tobytes())

    def read(answer):
        crc = field_of(answer, "crc")
        wrong = None if crc == expected else "answered '%s', expected crc=%s" % (answer, expected)
        return src.size if crc else 0, wrong
    probe.ask("sconvert seed=%d sfmt=%s dfmt=%s shape=%s sbytes=%d soffset=%d sstrides=%s dbytes=%d doffset=%d "
              "dstrides=%s%s" % (seed, encoded(format_of(source)), encoded(format_of(to)), words(shape), sbytes,
                                 soffset, words(sstrides), dbytes, doffset, words(dstrides),
                                 "" if devices is None else " sdev=%s ddev=%s" % devices), read)


def ask_rule(probe, to, source, rule):
    expected = "1" if numpy.can_cast(source, to, rule) else "0"

    def read(answer):
        can = field_of(answer, "can")
        return 1 if can else 0, None if can == expected else "answered '%s', with NumPy %s" % (answer, expected)
    probe.ask("cancast sfmt=%s dfmt=%s rule=%s" % (encoded(format_of(source)), encoded(format_of(to)), rule), read)


def ask_rules(rng, probe, nrecords):
    types = []
    for code in CODES:
        types += [code] if code in ("b1", "i1", "u1") else ["<" + code, ">" + code]
    types = [numpy.dtype(one) for one in types + list(LONG)]
    for to in types:
        for source in types:
            for rule in RULES:
                ask_rule(probe, to, source, rule)
    # NumPy compares fields by position, and lets names differ: records with the same names in the same order.
    for _ in range(nrecords):
        names = rng.sample("abcd", rng.randint(1, 3))
        pairs = [(rng.choice(types), rng.choice(types)) for _ in names]
        pairs = [(one, one) if rng.random() < 0.5 else (one, other) for one, other in pairs]
        source = record_dtype(rng, names, [pair[1] for pair in pairs])
        to = source if rng.random() < 0.2 else record_dtype(rng, names, [pair[0] for pair in pairs])
        ask_rule(probe, to, source, rng.choice(RULES))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=1500)
    parser.add_argument("--devices")
    parser.add_argument("--show", type=int, default=5)
    parser.add_argument("probe")
    options = parser.parse_args()
    devices = None if options.devices is None else tuple(options.devices.split("/"))
    if devices is not None:
        there = Probe(options.probe).devices()
        for device in devices:
            if device not in there:
                print("no device %s" % device, file=sys.stderr)
                return 77
    warnings.simplefilter("ignore")  # complex numbers that lose a half
    rng = random.Random(options.seed)
    kinds = {"numbers": ask_number, "records": ask_record, "views": lambda rng, probe: ask_view(rng, probe, devices)}
    if devices is not None:
        kinds = {"views": kinds["views"]}
    failed = False
    for kind in list(kinds) + (["rules"] if devices is None else []):
        probe = Probe(options.probe)
        if kind == "rules":
            ask_rules(rng, probe, options.cases)
        else:
            for _ in range(options.cases):
                kinds[kind](rng, probe)
        results = probe.run()
        wrong = [(line, result[1]) for line, result in results if result[1] is not None]
        print("%-8s %6d requests, %7d compared with NumPy %s, %d differ" % (
            kind, len(results), sum(result[0] for _, result in results), numpy.__version__, len(wrong)))
        for line, what in wrong[:options.show]:
            print("  %s\n    %s" % (what, line))
        failed = failed or bool(wrong)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
