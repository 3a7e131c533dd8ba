# SPDX-License-Identifier: Apache-2.0
"""Pillow's images without a copy."""
from typing import TYPE_CHECKING

from . import _ndbuf
from ._ndbuf import View

if TYPE_CHECKING:
    import PIL.Image

# Pillow's mode: its number from Pillow 12 on; pixel type; bands; bytes of a pixel; bytes from band to band; format of a
# band. "1" has 0 and 255 for its two values, so it is "B", too.
_MODES = {
    "1": (1, 0, 1, 1, 1, "B"),
    "CMYK": (2, 0, 4, 4, 1, "B"),
    "F": (3, 2, 1, 4, 4, "=f"),
    "HSV": (4, 0, 3, 4, 1, "B"),
    "I": (5, 1, 1, 4, 4, "=i"),
    "L": (6, 0, 1, 1, 1, "B"),
    "LA": (7, 0, 2, 4, 3, "B"),
    "LAB": (8, 0, 3, 4, 1, "B"),
    "La": (9, 0, 2, 4, 3, "B"),
    "P": (10, 0, 1, 1, 1, "B"),
    "PA": (11, 0, 2, 4, 3, "B"),
    "RGB": (12, 0, 3, 4, 1, "B"),
    "RGBA": (13, 0, 4, 4, 1, "B"),
    "RGBX": (14, 0, 4, 4, 1, "B"),
    "RGBa": (15, 0, 4, 4, 1, "B"),
    "YCbCr": (16, 0, 3, 4, 1, "B"),
    "I;16": (17, 3, 1, 2, 2, "<H"),
    "I;16L": (18, 3, 1, 2, 2, "<H"),
    "I;16B": (19, 3, 1, 2, 2, ">H"),
    "I;16N": (20, 3, 1, 2, 2, "=H"),
}


def _version():
    import PIL
    try:
        return tuple(int(part) for part in PIL.__version__.split(".")[:2])
    except ValueError:
        return 0, 0


def _is_readonly(image):
    """Whether the pixels are not the image's own: a mapped file's, or an Arrow array's."""
    return bool(image.readonly) or bool(getattr(image.im, "readonly", 0))


def _check_pixels(view, image):
    """Compares two corners with what Pillow says, where it says it plainly."""
    width, height = image.size
    for x, y in ((0, 0), (width - 1, height - 1)):
        expected = image.im.getpixel((x, y))
        found = view[y, x] if view.ndim == 2 else tuple(view[y, x].tolist())
        if found != expected and expected == expected:
            raise BufferError("pixel (%d, %d) is %r, but Pillow says %r: an unknown Pillow" % (x, y, found, expected))


def from_pil(image: "PIL.Image.Image") -> View:
    """A View of a Pillow image's own pixels, through its array of pointers to rows: nothing is copied, and what is
    written to the View is in the image. However many blocks of memory the image is in.

    The shape is (height, width), or (height, width, bands). The View keeps the pixels alive, also when the image object
    goes, or takes other pixels, as its methods may do. It is read-only if the image is: of a mapped file, say.

    Pillow does not promise the struct that is read for this. It is compared with all that the image says about itself,
    and a Pillow that is not as known (11 to 13) is refused with BufferError.
    """
    from PIL import Image
    if not isinstance(image, Image.Image):
        raise TypeError("from_pil takes a PIL.Image.Image, not %r" % type(image))
    version = _version()
    if version < (11, 0):
        raise BufferError("Pillow %s is older than 11, from which on its memory can be shared"
                          % ".".join(map(str, version)))
    image.load()
    mode = image.mode
    if mode not in _MODES:
        raise BufferError("mode %r of Pillow is not known" % mode)
    number, pixel_type, bands, pixel_nbytes, band_stride, format = _MODES[mode]
    if image.im.mode != mode or tuple(image.im.size) != tuple(image.size) or len(image.getbands()) != bands:
        raise BufferError("the image and its memory disagree about mode, size or bands")
    view = _ndbuf._from_imaging(image.getim(), mode, -1 if version < (12, 0) else number, pixel_type, bands,
                                pixel_nbytes, band_stride, format, tuple(image.size), _is_readonly(image))
    if view.nbytes and mode != "LAB":  # whose bands Pillow shows with other signs
        _check_pixels(view, image)
    return view
