"""Growing a network to larger patches: what it knew it still says."""

import pytest
import torch

from openuni.errors import BadInput
from openuni.model.codec.patch import PatchCodec
from openuni.model.grow import grown
from openuni.model.network import Stream
from openuni.model.pipeline import untrained
from openuni.model.presets import tiny, tiny_half


def doubled(clip):
    return clip.repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)


def answers(network, codec, rgb, drawn):
    text = torch.randn(1, 8, 64, generator=torch.Generator().manual_seed(2))
    streams = [
        Stream(codec.encode(rgb), torch.zeros(1), text),
        Stream(codec.encode(drawn), torch.full((1,), 0.7), text, torch.tensor([2])),
    ]
    with torch.no_grad():
        return [codec.decode(one) for one in network(streams)]


def test_a_grown_network_answers_on_doubled_frames_as_the_small_one_does():
    small = untrained(tiny_half(), seed=3)
    large = grown(small, 3, 6)
    rgb, drawn = (torch.rand(1, 3, 3, 12, 12, generator=torch.Generator().manual_seed(k)) * 2 - 1 for k in (0, 1))
    before = answers(small, PatchCodec(3), rgb, drawn)
    after = answers(large, PatchCodec(6), doubled(rgb), doubled(drawn))
    for one, other in zip(before, after, strict=True):
        assert one.abs().max() > 0.01
        torch.testing.assert_close(other, doubled(one), rtol=0, atol=1e-5)  # sums in another order


def test_a_grown_network_has_the_shape_of_the_shipped_preset():
    large = grown(untrained(tiny_half(), seed=0), 3, 6)
    wanted = untrained(tiny(), seed=0)
    assert {k: v.shape for k, v in large.state_dict().items()} == {k: v.shape for k, v in wanted.state_dict().items()}


def test_patches_that_are_no_multiple_are_refused():
    with pytest.raises(BadInput, match="cannot be grown to patches of 4 px: give a multiple"):
        grown(untrained(tiny_half(), seed=0), 3, 4)
