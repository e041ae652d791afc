"""Things over a clip: found on key frames by one network, followed between them by another.

Every key frame is searched. What is found there and not followed yet is a new thing: it is followed from there to the
clip's end, and back to the key frame before, since it came in somewhere between. A thing that goes out of sight keeps
its id and has it again when the follower sees it again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from openuni.annotators.mask_sets import Proposal, numbered, settle, unknown, wholes


class Group(Protocol):
    """Things that were started on one frame."""

    def step(self, frame: int, *, back: bool = False) -> np.ndarray:
        """Follow them to a frame: (N, h, w) logits, at or below 0 where they are not. Frames come in order."""


class Follower(Protocol):
    """Follows masks through one clip."""

    def start(self, frame: int, masks: list[np.ndarray]) -> Group:
        """Take up N masks (H, W) bool on a frame; the first step is of that frame."""

    def enlarge(self, logits: np.ndarray) -> np.ndarray:
        """Bring (N, h, w) logits to the frames' size."""


@dataclass
class Followed:
    """What was found in a clip."""

    data: np.ndarray
    """(T, H, W) uint8 or uint16 ids: 1, 2, ... by first appearance, the larger first."""
    labels: list[str] = field(default_factory=list)
    """What the things are, in the order of their ids; empty text where no name was asked for."""
    proposals: int = 0
    """Whole things proposed, over all key frames."""
    later: int = 0
    """Things found after the first key frame."""
    left_out: int = 0
    """New things for which there was no room."""

    @property
    def objects(self) -> int:
        """Number of things."""
        return len(self.labels)


def follow(
    frames: int,
    find: Callable[[int], list[Proposal]],
    follower: Follower,
    *,
    keys: Sequence[int],
    max_objects: int,
    min_area: float,
    max_area: float,
) -> Followed:
    """Find things on key frames and follow them through a clip.

    Args:
        frames: T, number of frames.
        find: proposals of a frame.
        follower: follows masks.
        keys: numbers of the key frames, ascending.
        max_objects: no more things than this; the larger ones of the earlier frames come first.
        min_area, max_area: of a thing on the key frame where it is found, as a share of the picture.
    """
    found = Followed(np.zeros(0, np.uint8))
    groups: list[tuple[Group, list[int]]] = []
    seen: list[list[tuple[np.ndarray, list[int]]]] = [[] for _ in range(frames)]
    labels: dict[int, str] = {}
    last_key = -1
    for t in range(frames):
        seen[t] += [(group.step(t), ids) for group, ids in groups]
        if t not in keys:
            continue
        before, last_key = last_key, t
        proposed = wholes(find(t), min_area=min_area, max_area=max_area)
        found.proposals += len(proposed)
        fresh = unknown(proposed, _ids_of(seen[t], follower)) if seen[t] else proposed
        room = max_objects - len(labels)
        found.left_out += max(0, len(fresh) - room)
        fresh = fresh[:room]
        if not fresh:
            continue
        found.later += len(fresh) if t > keys[0] else 0
        ids = [len(labels) + number for number in range(1, len(fresh) + 1)]
        labels |= {one: proposal.label for one, proposal in zip(ids, fresh, strict=True)}
        group = follower.start(t, [proposal.mask for proposal in fresh])
        seen[t].append((group.step(t), ids))
        for earlier in range(t - 1, before, -1):
            seen[earlier].append((group.step(earlier, back=True), ids))
        groups.append((group, ids))
    if not labels:
        return found
    data, kept = numbered(np.stack([_ids_of(one, follower) for one in seen]))
    found.data, found.labels = data, [labels[one] for one in kept]
    return found


def _ids_of(seen: list[tuple[np.ndarray, list[int]]], follower: Follower) -> np.ndarray:
    """Ids of one frame, (H, W) int32, from the logits of all groups. The earlier thing wins where two are equal."""
    ids = [one for _, some in seen for one in some]
    if not ids:
        return follower.enlarge(np.zeros((1, 1, 1), np.float32))[0].astype(np.int32)
    logits = np.concatenate([follower.enlarge(some) for some, _ in seen])
    order = np.argsort(ids, kind="stable")
    return settle(logits[order], [ids[number] for number in order])
