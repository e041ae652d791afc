"""A world in which masks are known: flat coloured squares on black. Stand-ins that find and follow them by colour.

They stand where SAM and SAM 2 stand and use nothing of ours but the shapes at the door.
"""

import numpy as np

from openuni.annotators.mask_sets import Proposal

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def paint(frames, height, width, things):
    """Draw things over a clip; later ones in front.

    Args:
        things: (colour, side px, {frame: (x, y) of the upper left corner}); a frame that is not named shows none.
    """
    rgb = np.zeros((frames, height, width, 3), np.uint8)
    for colour, side, places in things:
        for t, (x, y) in places.items():
            rgb[t, y : y + side, x : x + side] = colour
    return rgb


def mask_of(frame, colour):
    """(H, W) bool: where a frame has a colour."""
    return (frame == np.array(colour, np.uint8)).all(axis=-1)


def propose(frame, label=""):
    """A mask for each colour but black, in the order of the colours' numbers: that of no id."""
    colours = np.unique(frame.reshape(-1, 3), axis=0)
    return [Proposal(mask_of(frame, colour), 1.0, label) for colour in colours[::-1] if colour.any()]


class ColourFollower:
    """Follows the colour that is most frequent in each mask."""

    def __init__(self, rgb):
        self.rgb, self.started, self.steps = rgb, [], []

    def start(self, frame, masks):
        """Note the colours."""
        colours = []
        for mask in masks:
            found, counts = np.unique(self.rgb[frame][mask], axis=0, return_counts=True)
            colours.append(found[counts.argmax()])
        self.started.append((frame, len(masks)))
        return ColourGroup(self, colours)

    def enlarge(self, logits):
        """At the frames' size already, or nothing."""
        return np.broadcast_to(logits, (len(logits), *self.rgb.shape[1:3]))


class ColourGroup:
    """Colours of one start."""

    def __init__(self, follower, colours):
        self.follower, self.colours = follower, colours

    def step(self, frame, *, back=False):
        """Logit 1 where the colour is, -1 elsewhere."""
        self.follower.steps.append((frame, back))
        masks = [mask_of(self.follower.rgb[frame], colour) for colour in self.colours]
        return np.where(np.stack(masks), 1.0, -1.0).astype(np.float32)
