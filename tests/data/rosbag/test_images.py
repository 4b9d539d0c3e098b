"""Pictures of any encoding become the same RGB, and the same observation live and from a bag."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot.data.rosbag.images import ENCODINGS, to_rgb
from parrot.errors import SpaceError
from parrot.observe import crop_box, observe

RGB = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)


def message(rows, encoding, pad=0, big=0, last_padded=True):
    """`rows`: (height, ...) of uint8 or uint16."""
    height, width = rows.shape[:2]
    kind = rows.dtype.newbyteorder(">" if big else "<")
    data = np.frombuffer(rows.astype(kind).tobytes(), np.uint8).reshape(height, -1)
    step = data.shape[1] + pad
    data = np.pad(data, ((0, 0), (0, pad)), constant_values=201).reshape(-1)
    data = data if last_padded else data[: len(data) - pad]
    return SimpleNamespace(height=height, width=width, encoding=encoding, step=step, is_bigendian=big, data=data)


def encoded(rgb, encoding):
    """The picture as a driver would send it."""
    if "16" in encoding:
        return encoded(rgb, encoding.replace("16", "8")).astype(np.uint16) * 256 + 77
    grey = rgb[..., 0]
    alpha = np.full((*rgb.shape[:2], 1), 9, np.uint8)
    return {
        "rgb8": rgb, "bgr8": rgb[..., ::-1], "8UC3": rgb[..., ::-1],
        "rgba8": np.concatenate([rgb, alpha], 2), "bgra8": np.concatenate([rgb[..., ::-1], alpha], 2),
        "8UC4": np.concatenate([rgb[..., ::-1], alpha], 2), "mono8": grey, "8UC1": grey,
    }[encoding]  # fmt: skip


PLAIN = [e for e in ENCODINGS if "bayer" not in e and "yu" not in e and "uy" not in e]


@pytest.mark.parametrize("encoding", PLAIN)
@given(
    rgb=st.integers(1, 9).flatmap(lambda h: st.integers(1, 9).map(lambda w: (h, w))),
    seed=st.integers(0, 1000), pad=st.integers(0, 5), big=st.booleans(), last_padded=st.booleans(),
)  # fmt: skip
@settings(max_examples=15, deadline=None)
def test_plain_encodings_come_back_whatever_padding_and_byte_order(encoding, rgb, seed, pad, big, last_padded):
    picture = np.random.default_rng(seed).integers(0, 256, (*rgb, 3), np.uint8)
    if "mono" in encoding or encoding == "8UC1":
        picture[...] = picture[..., :1]
    found = to_rgb(message(encoded(picture, encoding), encoding, pad, int(big), last_padded))
    np.testing.assert_array_equal(found, picture)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_patterns_give_the_colours_they_were_made_of(pattern, bits):
    colour = np.array([200, 100, 30], np.uint8)
    mosaic = np.empty((16, 16), np.uint8)
    for k, name in enumerate(pattern):
        mosaic[k // 2 :: 2, k % 2 :: 2] = colour["rgb".index(name)]
    mosaic = mosaic if bits == 8 else mosaic.astype(np.uint16) * 256 + 3
    found = to_rgb(message(mosaic, f"bayer_{pattern}{bits}", pad=4))
    np.testing.assert_array_equal(found, np.broadcast_to(colour, (16, 16, 3)))


@pytest.mark.parametrize(("encoding", "places"), [("yuv422", (1, 0, 3, 2)), ("yuv422_yuy2", (0, 1, 2, 3))])
@pytest.mark.parametrize("colour", [(200, 100, 30), (10, 240, 60), (128, 128, 128)])
def test_yuv_gives_the_colours_it_was_made_of(encoding, places, colour):
    red, green, blue = colour
    luma = 16 + 0.257 * red + 0.504 * green + 0.098 * blue
    u, v = 128 - 0.148 * red - 0.291 * green + 0.439 * blue, 128 + 0.439 * red - 0.368 * green - 0.071 * blue
    pair = np.array([luma, u, luma, v]).round().astype(np.uint8)[np.argsort(places)]
    rows = np.broadcast_to(pair, (6, 4, 4)).reshape(6, 8, 2)
    found = to_rgb(message(np.ascontiguousarray(rows), encoding, pad=3))
    assert found.shape == (6, 8, 3)
    assert np.abs(found.astype(int) - colour).max() <= 3


@pytest.mark.parametrize(("end", "form"), [(".png", "png"), (".jpg", "bgr8; jpeg compressed bgr8"), (".jpg", "jpeg")])
def test_compressed_pictures_are_decoded(end, form):
    smooth = cv2.resize(RGB, (160, 120), interpolation=cv2.INTER_CUBIC)
    _, data = cv2.imencode(end, smooth[..., ::-1])
    found = to_rgb(SimpleNamespace(format=form, data=data.reshape(-1)))
    if end == ".png":
        np.testing.assert_array_equal(found, smooth)
    assert np.abs(found.astype(int) - smooth).mean() < 8


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (message(RGB, "32FC1"), "encoding '32FC1' is not known; use one of rgb8, bgr8"),
        (
            SimpleNamespace(**{**vars(message(RGB, "rgb8")), "data": RGB.reshape(-1)[:-1]}),
            "with 575 bytes in rows of 48",
        ),
        (SimpleNamespace(**{**vars(message(RGB, "rgb8")), "step": 47}), "expected 12 rows of at least 48"),
        (message(np.zeros((2, 3, 2), np.uint8), "yuv422"), "odd width"),
        (SimpleNamespace(format="png", data=np.zeros(50, np.uint8)), "cannot be decoded"),
        (SimpleNamespace(format="16UC1; compressedDepth", data=np.zeros(50, np.uint8)), "holds no colours"),
    ],
)
def test_what_is_no_picture_is_one_line(broken, words):
    with pytest.raises(SpaceError, match=words):
        to_rgb(broken)


def test_an_observation_passes_unchanged():
    image = np.random.default_rng(1).integers(0, 256, (48, 48, 3), np.uint8)
    for crop in (None, (0, 0, 1, 1), (0, 0, 48, 48)):
        found = observe(image, crop)
        np.testing.assert_array_equal(found, image)
        assert not np.shares_memory(found, image)
    wide = np.pad(image, ((0, 0), (7, 7), (0, 0)))
    np.testing.assert_array_equal(observe(wide), image)


@given(factor=st.integers(1, 8), seed=st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_pictures_are_averaged_by_area(factor, seed):
    side = 48 * factor
    picture = np.random.default_rng(seed).integers(0, 256, (side, side + 2 * factor, 3), np.uint8)
    square = picture[:, factor : factor + side].reshape(48, factor, 48, factor, 3).mean(axis=(1, 3))
    assert np.abs(observe(picture) - square).max() <= 0.5 + 1e-9


def test_a_crop_is_in_pixels_or_shares_and_stays_within_the_picture():
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[50:98, 20:68] = 255
    assert observe(picture, (20, 50, 48, 48)).min() == 255
    assert crop_box(200, 100, (0.25, 0.5, 0.5, 0.5)) == (50, 50, 100, 50)
    assert crop_box(101, 67, (0.3, 0.3, 0.7, 0.7)) == (30, 20, 71, 47)
    for crop in ((0, 0, 201, 100), (150, 0, 51, 10), (0.5, 0, 0.6, 1), (10, 10, 0, 5)):
        with pytest.raises(SpaceError, match="leaves the picture of 200x100; give x, y, width, height within it"):
            observe(picture, crop)
    with pytest.raises(SpaceError, match=r"picture is float64 \(4, 4\); expected uint8"):
        observe(np.zeros((4, 4)))
