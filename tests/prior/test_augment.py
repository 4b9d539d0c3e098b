"""What is done to training images at random."""

import numpy as np

from parrot.prior.augment import mirror, random_shift


def test_a_shift_moves_every_image_by_its_own_offset_and_repeats_the_border():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (64, 48, 48, 3), dtype=np.uint8)
    shifted = random_shift(images, 3, rng)
    padded = np.pad(images, ((0, 0), (3, 3), (3, 3), (0, 0)), mode="edge")
    offsets = set()
    for one, wide in zip(shifted, padded, strict=True):
        hits = [(y, x) for y in range(7) for x in range(7) if (wide[y : y + 48, x : x + 48] == one).all()]
        assert len(hits) == 1
        offsets.update(hits)
    assert len(offsets) > 20
    assert random_shift(images, 0, rng) is images


def test_left_and_right_are_exchanged_in_the_images_asked_for_alone():
    images = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 3), dtype=np.uint8)
    found = mirror(images, np.array([True, False, True]))
    assert (found[1] == images[1]).all()
    assert (found[[0, 2], :, 5] == images[[0, 2], :, 42]).all()
    assert (mirror(found, np.array([True, False, True])) == images).all()
