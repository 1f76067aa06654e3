"""The icon: told apart by shape alone, legible on light and dark panels, at every size."""

import itertools

import pytest
from PIL import Image

from localguard.tray.icon import COLOURS, SIZES, argb, icon
from localguard.tray.situation import Sign


def luminance(colour: tuple[int, ...]) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [part / 255 for part in colour]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("sign", Sign)
@pytest.mark.parametrize("panel", [(255, 255, 255), (245, 245, 245), (40, 40, 40), (0, 0, 0)])
def test_every_colour_stands_out_on_light_and_dark_panels(sign: Sign, panel: tuple[int, int, int]) -> None:
    assert contrast(COLOURS[sign], panel) >= 3


@pytest.mark.parametrize("size", [16, 22, 24])
def test_no_two_signs_look_alike_without_colour(size: int) -> None:
    """Compared by lightness on a light panel, every colour made the same one."""

    def shape(sign: Sign) -> list[int]:
        drawn = icon(sign, size)
        grey = Image.new("L", drawn.size, 255)
        inside = drawn.convert("RGB").convert("L").point(lambda value: 255 if value > 230 else 0)
        grey.paste(inside, mask=drawn.getchannel("A"))
        return list(grey.tobytes())

    for one, other in itertools.combinations(Sign, 2):
        differing = sum(abs(a - b) > 100 for a, b in zip(shape(one), shape(other), strict=True))
        assert differing >= size * size * 0.05, (one, other, differing)


@pytest.mark.parametrize("sign", Sign)
@pytest.mark.parametrize("size", SIZES)
def test_an_icon_fills_its_square_and_leaves_the_corners_to_the_panel(sign: Sign, size: int) -> None:
    drawn = icon(sign, size)
    assert drawn.size == (size, size)
    left, top, right, bottom = drawn.getchannel("A").point(lambda value: 255 if value > 60 else 0).getbbox() or (
        0,
        0,
        0,
        0,
    )
    assert bottom - top >= size * 0.8
    assert right - left >= size * 0.7
    assert drawn.getpixel((0, 0))[3] == 0  # type: ignore[index]


def test_pixels_go_over_the_bus_as_alpha_red_green_blue() -> None:
    assert argb(Image.new("RGBA", (1, 1), (1, 2, 3, 4))) == bytes([4, 1, 2, 3])
