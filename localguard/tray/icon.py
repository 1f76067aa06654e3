"""Draws the tray's icon: each sign has an outline and a mark of its own, so that colour is never all that tells.

Colours keep a contrast of at least 3 to 1 (WCAG 2.2, 1.4.11) against white and against dark panels. Shapes are drawn eight times
as large and reduced, so that they are legible from 16 pixels on.
"""

from collections.abc import Callable
from typing import Final

from PIL import Image, ImageDraw

from localguard.tray.situation import Sign

SIZES: Final = (16, 22, 24, 32, 48, 64)
"""Pixels that panels ask for, hi-dpi ones too."""
COLOURS: Final = {
    Sign.DOWN: (128, 128, 128),
    Sign.ASKING: (160, 95, 210),
    Sign.PAUSED: (190, 115, 0),
    Sign.REFUSED: (215, 65, 55),
    Sign.LOCAL_ONLY: (45, 120, 215),
    Sign.GUARDING: (30, 140, 75),
}
_WHITE: Final = (255, 255, 255)
_UNIT: Final = 16
"""Shapes are given on a grid of this many units."""
_FINER: Final = 8

_Points = tuple[tuple[float, float], ...]
_SHIELD: Final[_Points] = (
    (8, 0.4), (14.4, 2.4), (14.4, 7.6), (13.4, 10.6), (11.2, 13.4), (8, 15.6), (4.8, 13.4), (2.6, 10.6), (1.6, 7.6), (1.6, 2.4),
)  # fmt: skip
_OCTAGON: Final[_Points] = (
    (4.9, 0.4), (11.1, 0.4), (15.6, 4.9), (15.6, 11.1), (11.1, 15.6), (4.9, 15.6), (0.4, 11.1), (0.4, 4.9),
)  # fmt: skip
_HOUSE: Final[_Points] = ((8, 3.2), (12.6, 7.4), (11.2, 7.4), (11.2, 11.6), (4.8, 11.6), (4.8, 7.4), (3.4, 7.4))


class _Pen:
    """Draws on a grid of 16 units into an image of any size."""

    def __init__(self, size: int) -> None:
        self._scale = size * _FINER / _UNIT
        self.image = Image.new("RGBA", (size * _FINER, size * _FINER), (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self.image)

    def area(self, points: _Points, colour: tuple[int, ...]) -> None:
        self._draw.polygon([(x * self._scale, y * self._scale) for x, y in points], fill=colour)

    def line(self, points: _Points, colour: tuple[int, ...], width: float) -> None:
        scaled = [(x * self._scale, y * self._scale) for x, y in points]
        self._draw.line(scaled, fill=colour, width=round(width * self._scale), joint="curve")

    def box(self, left: float, top: float, right: float, bottom: float, colour: tuple[int, ...]) -> None:
        scale = self._scale
        self._draw.rectangle((left * scale, top * scale, right * scale - 1, bottom * scale - 1), fill=colour)

    def disc(self, x: float, y: float, radius: float, colour: tuple[int, ...]) -> None:
        scale = self._scale
        around = ((x - radius) * scale, (y - radius) * scale, (x + radius) * scale, (y + radius) * scale)
        self._draw.ellipse(around, fill=colour)

    def bow(self, x: float, y: float, radius: float, start: float, end: float, width: float) -> None:
        scale = self._scale
        around = ((x - radius) * scale, (y - radius) * scale, (x + radius) * scale, (y + radius) * scale)
        self._draw.arc(around, start, end, fill=_WHITE, width=round(width * scale))


def _guarding(pen: _Pen, colour: tuple[int, ...]) -> None:
    pen.area(_SHIELD, colour)
    pen.line(((4.4, 7.8), (7.1, 10.5), (11.8, 5.2)), _WHITE, 2.1)


def _local_only(pen: _Pen, colour: tuple[int, ...]) -> None:
    pen.area(_SHIELD, colour)
    pen.area(_HOUSE, _WHITE)


def _paused(pen: _Pen, colour: tuple[int, ...]) -> None:
    pen.box(2, 1, 6.6, 15, colour)
    pen.box(9.4, 1, 14, 15, colour)


def _refused(pen: _Pen, colour: tuple[int, ...]) -> None:
    pen.area(_OCTAGON, colour)
    pen.box(3.4, 6.6, 12.6, 9.4, _WHITE)


def _asking(pen: _Pen, colour: tuple[int, ...]) -> None:
    pen.disc(8, 8, 7.6, colour)
    pen.bow(8, 6.2, 3.3, 180, 70, 2)
    pen.box(7, 8, 9, 10.4, _WHITE)
    pen.disc(8, 12.4, 1.25, _WHITE)


def _down(pen: _Pen, colour: tuple[int, ...]) -> None:
    inner = tuple((8 + (x - 8) * 0.86, 8 + (y - 8) * 0.86) for x, y in _SHIELD)
    pen.line((*inner, inner[0], inner[1]), colour, 1.8)
    pen.line(((1.4, 14.6), (14.6, 1.4)), colour, 2.2)


_SHAPES: Final[dict[Sign, Callable[[_Pen, tuple[int, ...]], None]]] = {
    Sign.DOWN: _down,
    Sign.ASKING: _asking,
    Sign.PAUSED: _paused,
    Sign.REFUSED: _refused,
    Sign.LOCAL_ONLY: _local_only,
    Sign.GUARDING: _guarding,
}


def icon(sign: Sign, size: int) -> Image.Image:
    """The icon of a sign, RGBA, `size` pixels square, transparent around its shape."""
    pen = _Pen(size)
    _SHAPES[sign](pen, COLOURS[sign])
    return pen.image.resize((size, size), Image.Resampling.LANCZOS)


def argb(image: Image.Image) -> bytes:
    """The image's pixels as D-Bus wants them: alpha, red, green, blue, row by row."""
    red, green, blue, alpha = image.split()
    return Image.merge("RGBA", (alpha, red, green, blue)).tobytes()
