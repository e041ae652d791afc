"""COCO's run lengths: a mask by hand, pycocotools' own encodings, what is damaged."""

import numpy as np
import pytest

from openuni.annotators.coco_rle import decode_rle


def test_a_mask_by_hand():
    # 3 x 2, down the columns: 1 off, 2 on, 1 off, 2 on. Runs 1 2 1, then 2 - 2 = 0 (two before it), as text "1210".
    wanted = np.array([[False, False], [True, True], [True, True]])
    assert np.array_equal(decode_rle({"size": [3, 2], "counts": "1210"}), wanted)
    assert np.array_equal(decode_rle({"size": [3, 2], "counts": [1, 2, 1, 2]}), wanted)
    assert decode_rle({"size": [3, 2], "counts": "06"}).all() and not decode_rle({"size": [3, 2], "counts": "6"}).any()


@pytest.mark.parametrize("seed", range(6))
def test_masks_that_pycocotools_encoded_come_back(seed):
    mask_utils = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 90, 2)
    mask = rng.random((height, width)) < rng.random()
    if seed % 2:  # long runs, whose lengths need several characters
        mask = np.kron(mask, np.ones((40, 7), bool))
    rle = mask_utils.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert np.array_equal(decode_rle(rle), mask)
    assert np.array_equal(decode_rle({**rle, "counts": rle["counts"].decode()}), mask)


@pytest.mark.parametrize(
    ("rle", "said"),
    [
        ({"size": [3, 2], "counts": "12"}, "must add up to 3 x 2, got 3"),
        ({"size": [3, 2], "counts": "12 0"}, "damaged at ' '"),
        ({"size": [3, 2], "counts": "1P"}, "end within a run"),
        ({"size": [3, 2], "counts": "O"}, "damaged: a run of -1"),
        ({"size": [3, 2], "counts": "PPPPPPPP1"}, "damaged at"),
        ({"size": [10**6, 10**6], "counts": "1"}, "must have 1 to 100000000 pixels"),
        ({"size": [3]}, "has size .height, width. and counts"),
    ],
)
def test_damaged_counts_are_a_clear_error(rle, said):
    with pytest.raises(ValueError, match=said):
        decode_rle(rle)
