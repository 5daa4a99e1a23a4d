"""Photos as small JPEG data addresses, so that the page needs no other file."""

import base64
import io

from PIL import Image, ImageOps

SIDE = 128
QUALITY = 82


def square(image: Image.Image, side: int = SIDE) -> str:
    """The middle square of the image, at most `side` pixels, as a `data:` address."""
    return _address(ImageOps.fit(_flat(image), (side, side), Image.Resampling.LANCZOS))


def whole(image: Image.Image, side: int = SIDE) -> str:
    """The whole image, its longer side at most `side` pixels, as a `data:` address."""
    small = _flat(image)
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _address(small)


def _flat(image: Image.Image) -> Image.Image:
    """A copy in RGB; what is transparent becomes white."""
    if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    ground = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(ground, layer).convert("RGB")


def _address(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
