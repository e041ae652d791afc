"""Foreground by colours: right on what it learnt from, and found only where the colours are."""

import numpy as np

from openuni.benchmark.gen.foreground import foreground, learn_colours
from openuni.benchmark.synth.files import read_clip
from tests.benchmark.rendered import render_tiny


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


def scene(column):
    rng = np.random.default_rng(column)
    rgb = rng.integers(90, 120, (4, 30, 40, 3), dtype=np.uint8)
    mask = np.zeros(rgb.shape[:3], bool)
    mask[:, 8:22, column : column + 10] = True
    rgb[mask] = rng.integers([190, 20, 20], [220, 50, 50], (int(mask.sum()), 3))
    return rgb, mask


def test_things_of_another_colour_are_found_where_they_are_in_another_clip():
    rgb, mask = scene(5)
    moved, moved_mask = scene(25)
    colours = learn_colours(rgb, mask)
    assert iou(foreground(rgb, colours), mask) > 0.95  # the median takes corners
    assert iou(foreground(moved, colours), moved_mask) > 0.95
    assert iou(foreground(moved, colours), mask) == 0


def test_noise_and_an_empty_ground_are_no_foreground():
    rgb, mask = scene(5)
    colours = learn_colours(rgb, mask)
    ground = np.full_like(rgb, 105)
    assert not foreground(ground, colours).any()
    noise = np.random.default_rng(0).integers(0, 256, rgb.shape, dtype=np.uint8)
    assert iou(foreground(noise, colours), mask) < 0.2


def test_nothing_can_be_learnt_without_an_inside_or_an_outside():
    rgb, mask = scene(5)
    assert learn_colours(rgb, mask | True) is None and learn_colours(rgb, mask & False) is None


def test_on_true_frames_of_rendered_scenes_it_is_far_better_than_on_shuffled_masks(tmp_path):
    clips = [read_clip(folder) for folder in sorted((render_tiny(tmp_path / "r") / "clips").iterdir())]
    masks = [clip.truth.segmentation > 0 for clip in clips]
    for clip, mask, other in zip(clips, masks, masks[::-1], strict=True):
        found = foreground(clip.rgb, learn_colours(clip.rgb, mask))
        assert iou(found, mask) > 0.5 > 2 * iou(found, other)
