# SPDX-License-Identifier: Apache-2.0
"""Pillow's images, without a copy: each mode, several blocks, both lifetimes, and structs that are not as known."""
import ctypes
import gc
import sys

import pytest
from leak_check import assert_no_leak

import ndbuf

PIL = pytest.importorskip("PIL", minversion="11.0")

from PIL import Image  # noqa: E402, there or skipped

BLOCK_NBYTES = 16 << 20  # of Pillow's memory, which holds no larger images in one piece
VERSION = tuple(int(part) for part in PIL.__version__.split(".")[:2])
# Mode: extent of the last axis, 0 for none; format; bytes of a pixel.
MODES = {"1": (0, "<B", 1), "L": (0, "<B", 1), "P": (0, "<B", 1), "RGB": (3, "<B", 4), "RGBA": (4, "<B", 4),
         "RGBX": (4, "<B", 4), "RGBa": (4, "<B", 4), "CMYK": (4, "<B", 4), "YCbCr": (3, "<B", 4), "LAB": (3, "<B", 4),
         "HSV": (3, "<B", 4), "LA": (2, "<B", 4), "La": (2, "<B", 4), "PA": (2, "<B", 4), "I": (0, "<i", 4),
         "F": (0, "<f", 4), "I;16": (0, "<H", 2), "I;16L": (0, "<H", 2), "I;16B": (0, ">H", 2), "I;16N": (0, "<H", 2)}


def sample(mode, size=(13, 7)):
    """An image whose pixels all differ, and what Pillow says of them."""
    image = Image.new(mode, size)
    pixels = {}
    for y in range(size[1]):
        for x in range(size[0]):
            value = 7 + 17 * x + 13 * y
            bands = MODES[mode][0]
            if mode == "1":
                pixel = 255 * (value % 3 == 0)
            elif bands:
                pixel = tuple((value + 31 * band) % 256 for band in range(bands))
            else:
                plain = value % 256 if MODES[mode][2] == 1 else value * 97
                pixel = {"I": value * 100003, "F": value / 3}.get(mode, plain)
            image.putpixel((x, y), pixel)
            pixels[x, y] = image.getpixel((x, y))
    return image, pixels


def pixel_of(view, x, y):
    return tuple(view[y, x].tolist()) if view.ndim == 3 else view[y, x]


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_seen_and_written_without_a_copy(mode):
    image, pixels = sample(mode)
    bands, text, nbytes = MODES[mode]
    view = ndbuf.from_pil(image)
    assert view.shape == ((7, 13, bands) if bands else (7, 13))
    assert (view.format, view.readonly, view.device, len(view.suboffsets)) == (text, False, "cpu", view.ndim)
    assert view.strides[1] == nbytes
    wrap = (lambda pixel: tuple(value % 256 for value in pixel)) if mode == "LAB" else lambda pixel: pixel
    assert {(x, y): pixel_of(view, x, y) for x, y in pixels} == {at: wrap(pixel) for at, pixel in pixels.items()}
    other, others = sample(mode)
    other = other.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    ndbuf.copy(view, ndbuf.from_pil(other))
    assert all(image.getpixel((x, y)) == other.getpixel((x, y)) for x, y in pixels)


# Of which Pillow gives no bytes, or others than it has: it changes signs of LAB, and packs "1" to bits.
NO_BYTES = {"1", "LAB", "La", "PA", "RGBX"}


@pytest.mark.parametrize("mode", sorted(MODES.keys() - NO_BYTES))
def test_the_bytes_are_those_that_pillow_exports_by_copying(mode):
    image, _ = sample(mode)
    assert ndbuf.from_pil(image).tobytes() == image.tobytes()


def test_sizes_of_nothing_and_of_one_pixel():
    for size in ((0, 0), (0, 5), (5, 0)):
        view = ndbuf.from_pil(Image.new("RGB", size))
        assert (view.shape, view.nbytes) == ((size[1], size[0], 3), 0)
    assert ndbuf.from_pil(Image.new("L", (1, 1), 9)).tolist() == [[9]]


LARGE = (5000, 4000)  # of 4 bytes: 76 MiB, five blocks


def row_steps(view):
    """Bytes from row to row, as the pointers have it."""
    rows = (ctypes.c_void_p * view.shape[0]).from_address(view._address)
    return {rows[y + 1] - rows[y] for y in range(view.shape[0] - 1)}


@pytest.mark.parametrize("mode", ["RGB", "F", "I;16", "L"])
def test_an_image_of_several_blocks_is_seen_whole(mode):
    nbytes = MODES[mode][2]
    size = (LARGE[0], LARGE[1] * 4 // nbytes)
    image = Image.new(mode, size)
    assert size[0] * size[1] * nbytes > 4 * BLOCK_NBYTES
    view = ndbuf.from_pil(image)
    assert len(row_steps(view)) > 1  # so the rows are no single piece
    assert (view.shape[:2], view.nbytes) == (size[::-1], size[0] * size[1] * (3 if mode == "RGB" else nbytes))
    first, last = ((1, 2, 3), (4, 5, 6)) if mode == "RGB" else (1, 2)
    written = bytearray(last) if mode == "RGB" else last
    for y in range(0, size[1], 97):
        image.putpixel((y % size[0], y), first)
        assert pixel_of(view, y % size[0], y) == first
    view[-1, -1] = written
    view[size[1] // 2, 5] = written
    assert image.getpixel((size[0] - 1, size[1] - 1)) == image.getpixel((5, size[1] // 2)) == last


def test_blocks_of_pillows_own_choice_are_seen_too():
    core = Image.core
    if not hasattr(core, "set_block_size"):
        pytest.skip("this Pillow has one block size only")
    before = core.get_block_size()
    core.set_block_size(4096)
    try:
        image = Image.new("RGB", (300, 200))  # one block for every few rows
        view = ndbuf.from_pil(image)
        assert len(row_steps(view)) > 1
        view[::2, :, 1] = 200
        assert image.getpixel((299, 198)) == (0, 200, 0)
        assert image.getpixel((299, 199)) == (0, 0, 0)
    finally:
        core.set_block_size(before)


def devices():
    return [device.name for device in ndbuf.devices() if device.name.startswith(("opencl:", "cuda:"))]


@pytest.mark.parametrize("size", [(13, 7), LARGE], ids=["small", "several blocks"])
@pytest.mark.parametrize("device", devices() or [pytest.param("", marks=pytest.mark.skip(reason="no device"))])
def test_an_image_goes_to_a_device_and_back(device, size):
    image = Image.effect_noise(size, 60) if size != LARGE else Image.linear_gradient("L").resize(size)
    image = Image.merge("RGB", (image, image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), image))
    there = ndbuf.from_pil(image).to(device)
    assert (there.device, there.shape, there.suboffsets) == (device, (size[1], size[0], 3), ())
    back = Image.new("RGB", size)
    ndbuf.copy(ndbuf.from_pil(back), there)
    assert back.tobytes() == image.tobytes()
    ndbuf.copy(ndbuf.from_pil(back), there[:, ::-1])
    assert back.tobytes() == image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).tobytes()


def test_the_view_keeps_the_pixels_when_the_image_goes():
    image = Image.new("RGB", (100, 100), (1, 2, 3))
    view = ndbuf.from_pil(image)
    del image
    gc.collect()
    again = [Image.new("RGB", (100, 100), (9, 9, 9)) for _ in range(20)]
    assert view[99, 99].tolist() == [1, 2, 3]
    assert len(again) == 20


def test_the_view_keeps_the_pixels_when_the_image_takes_others():
    image = Image.new("L", (100, 100), 5)
    view = ndbuf.from_pil(image)
    image.thumbnail((10, 10))
    image.close()
    again = [Image.new("L", (100, 100), 9) for _ in range(20)]
    assert view[99, 99] == 5
    assert len(again) == 20


def test_the_image_keeps_its_pixels_when_the_view_goes():
    image = Image.new("L", (100, 100), 5)
    view = ndbuf.from_pil(image)
    view[0, 0] = 6
    view.release()
    assert (image.getpixel((0, 0)), image.getpixel((99, 99))) == (6, 5)


def test_parts_of_a_view_keep_the_pixels_as_well():
    part = ndbuf.from_pil(Image.new("RGB", (50, 60), (1, 2, 3)))[10:, ::-1, 2]
    gc.collect()
    assert part.shape == (50, 50)
    assert set(part.tobytes()) == {3}


def test_pixels_that_are_not_the_images_own_are_read_only(tmp_path):
    path = tmp_path / "image.ppm"
    Image.new("L", (64, 64), 77).save(path)
    with Image.open(path) as image:
        view = ndbuf.from_pil(image)
        assert view[63, 63] == 77
        assert view.readonly == bool(image.readonly) == True  # Pillow maps what is stored as it wants it
    memory = bytearray(64)
    image = Image.frombuffer("L", (8, 8), memory, "raw", "L", 0, 1)
    assert image.readonly
    view = ndbuf.from_pil(image)
    memory[9] = 5
    assert view[1, 1] == 5
    with pytest.raises(TypeError):
        view[1, 1] = 6


def test_an_image_from_a_file_is_loaded_first(tmp_path):
    path = tmp_path / "image.png"
    Image.new("RGB", (20, 10), (1, 2, 3)).save(path)
    with Image.open(path) as image:
        assert ndbuf.from_pil(image)[9, 19].tolist() == [1, 2, 3]


def test_only_images_are_taken():
    for other in (None, 5, b"abc", object(), Image):
        with pytest.raises(TypeError, match="Image"):
            ndbuf.from_pil(other)


def test_a_consumer_of_plain_memory_gets_a_copy_if_it_lets_one_be_made():
    image, _ = sample("RGB")
    view = ndbuf.from_pil(image)
    with pytest.raises(BufferError):
        view.__dlpack__(copy=False)
    with pytest.raises(AttributeError, match="copy"):
        view.__array_interface__
    assert memoryview(view).suboffsets[0] == 0
    numpy = pytest.importorskip("numpy")
    assert (numpy.asarray(view.copy()) == numpy.asarray(image)).all()
    assert (numpy.from_dlpack(view) == numpy.asarray(image)).all()
    with pytest.raises(BufferError):  # NumPy's own: it knows no suboffsets
        numpy.asarray(view)


def test_ten_thousand_views_leave_nothing_behind():
    image, _ = sample("RGB")
    core = image.im
    count = sys.getrefcount(core)
    assert_no_leak(lambda: ndbuf.from_pil(image), image)
    assert_no_leak(lambda: ndbuf.from_pil(image)[::2, ::-1, 1].copy(), image, times=2000)
    left = sys.getrefcount(core)  # outside of the assertion, which keeps what it looks at
    assert left == count


# -- structs that are not as known --


class Fake(Image.Image):
    """An image that says what it is told to, over the capsule of another."""

    def __init__(self, image, **said):
        super().__init__()
        self._im = image.im
        self._mode, self._size = image.mode, image.size
        self.original = image
        for name, value in said.items():
            setattr(self, name, value)

    def load(self):
        return None

    def getim(self):
        return self.capsule if hasattr(self, "capsule") else self.original.getim()


_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype, _new_capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype, _pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
IMAGING = b"Pillow Imaging"


class Imaging(ctypes.Structure):
    _fields_ = [("mode", ctypes.c_int if VERSION >= (12, 0) else ctypes.c_char * 7), ("type", ctypes.c_int),
                ("depth", ctypes.c_int), ("bands", ctypes.c_int), ("xsize", ctypes.c_int), ("ysize", ctypes.c_int),
                ("palette", ctypes.c_void_p), ("image8", ctypes.c_void_p), ("image32", ctypes.c_void_p),
                ("image", ctypes.c_void_p), ("block", ctypes.c_void_p), ("blocks", ctypes.c_void_p),
                ("pixelsize", ctypes.c_int), ("linesize", ctypes.c_int), ("destroy", ctypes.c_void_p)]


def imaging_of(image):
    """A copy of the struct behind an image, to be changed."""
    return Imaging.from_buffer_copy(Imaging.from_address(_pointer_of(image.getim(), IMAGING)))


UNMAPPED = 4096
KNOWN = Image.new("RGB", (13, 7), (1, 2, 3))
ROWS = (ctypes.c_void_p * 7)(*[UNMAPPED + 4 * y for y in range(7)])
MISSING = (ctypes.c_void_p * 7)(*(ctypes.c_void_p * 7).from_address(imaging_of(KNOWN).image))
MISSING[3] = None
STRANGE = {
    "another mode": dict(mode=4 if VERSION >= (12, 0) else b"HSV"),
    "another size": dict(xsize=14),
    "a negative size": dict(ysize=-7),
    "another number of bands": dict(bands=4),
    "another type": dict(type=2),
    "another pixel size": dict(pixelsize=3),
    "another line size": dict(linesize=13 * 3),
    "no rows": dict(image=None),
    "rows elsewhere": dict(image8=UNMAPPED),
    "rows of another kind": dict(image32=None),
    "no destructor": dict(destroy=None),
    "an array of rows that is not there": dict(image=UNMAPPED, image32=UNMAPPED),
    "rows that are not there": dict(image=ctypes.addressof(ROWS), image32=ctypes.addressof(ROWS)),
    "a row that is missing": dict(image=ctypes.addressof(MISSING), image32=ctypes.addressof(MISSING)),
}


@pytest.mark.parametrize("what", STRANGE)
def test_a_struct_that_does_not_agree_with_its_image_is_refused(what):
    imaging = imaging_of(KNOWN)
    for name, value in STRANGE[what].items():
        setattr(imaging, name, value)
    fake = Fake(KNOWN, capsule=_new_capsule(ctypes.addressof(imaging), IMAGING, None))

    def exchange():
        with pytest.raises(BufferError, match="Pillow"):
            ndbuf.from_pil(fake)

    exchange()
    assert_no_leak(exchange, fake, times=500)


def test_the_fake_is_taken_where_it_says_the_truth():
    imaging = imaging_of(KNOWN)
    fake = Fake(KNOWN, capsule=_new_capsule(ctypes.addressof(imaging), IMAGING, None))
    assert ndbuf.from_pil(fake)[6, 12].tolist() == [1, 2, 3]


def test_capsules_of_others_and_structs_that_are_not_there_are_refused():
    other = _new_capsule(ctypes.addressof(imaging_of(KNOWN)), b"Other Imaging", None)
    nowhere = _new_capsule(UNMAPPED, IMAGING, None)
    for capsule in (other, nowhere, None, 5, "capsule"):
        with pytest.raises((BufferError, TypeError)):
            ndbuf.from_pil(Fake(KNOWN, capsule=capsule))


@pytest.mark.parametrize("said", [dict(_mode="XYZ"), dict(_mode="L"), dict(_size=(7, 13)), dict(_mode="HSV")], ids=str)
def test_an_image_that_does_not_agree_with_its_memory_is_refused(said):
    with pytest.raises(BufferError):
        ndbuf.from_pil(Fake(KNOWN, **said))


@pytest.mark.parametrize("version", ["10.4.0", "9.5", "garbage"])
def test_other_versions_are_refused(monkeypatch, version):
    monkeypatch.setattr(PIL, "__version__", version)
    with pytest.raises(BufferError, match="Pillow"):
        ndbuf.from_pil(KNOWN)


def test_a_mode_that_is_a_number_is_not_taken_for_a_text_nor_the_other_way_round(monkeypatch):
    monkeypatch.setattr(PIL, "__version__", "11.3.0" if VERSION >= (12, 0) else "13.0.0")
    with pytest.raises(BufferError, match="mode"):
        ndbuf.from_pil(KNOWN)
