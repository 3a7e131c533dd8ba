# SPDX-License-Identifier: Apache-2.0
# Sends a large image of Pillow's to a device, upside down, and brings half of it back into the image itself.
import ndbuf
from PIL import Image

# An image of this size lies in several blocks of memory, behind an array of pointers to its rows.
image = Image.linear_gradient("L").resize((4000, 3000)).convert("RGB")
pixels = ndbuf.from_pil(image)  # of the image's own rows: no pixel is copied
print(pixels)

device = ndbuf.devices()[-1].name  # "opencl:0", "cuda:0" ..., or "cpu" where there is no other
there = pixels[::-1].to(device, copy=True)  # upside down, and packed there
print("rows 0 and 2999 began with", image.getpixel((0, 0)), image.getpixel((0, 2999)))
ndbuf.copy(pixels[:, :2000], there[:, 2000:])  # back, into the left half of the image
print("rows 0 and 2999 begin with", image.getpixel((0, 0)), image.getpixel((0, 2999)))
