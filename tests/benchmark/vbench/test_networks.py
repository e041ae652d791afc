"""Networks of VBench's dimensions give what the original modules give, from checkpoints with the original names.

Numbers of the originals: tests/golden/vbench, with their recipe.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from openuni.annotators.dino import DinoTransformer, dino_of
from openuni.annotators.expert import fill
from openuni.annotators.raft_names import from_original
from openuni.benchmark.vbench.networks.amt import AmtS, amt_of
from openuni.benchmark.vbench.networks.musiq import LONGER_SIDES, PATCH, Musiq, musiq_of, tokens
from openuni.benchmark.vbench.networks.viclip import TextTower, ViClip, VisionTower, viclip_of
from openuni.errors import BadInput
from tests.benchmark.vbench.seeded import pictures, seeded

GOLDEN = json.loads((Path(__file__).parents[2] / "golden/vbench/numbers.json").read_text())
OUTPUTS, SHAPES = GOLDEN["outputs"], GOLDEN["shapes"]
TOLERANCE = {"rtol": 1e-4, "atol": 2e-5}  # float32 in another order of sums; seen: 1e-5


def state(network):
    return {name: seeded(name, shape) for name, shape in SHAPES[network].items()}


def made(network, of):
    network_state = state(network)
    found = of(network_state)
    fill(found, network_state, Path(network))
    return found.eval()


def numbers(tensor, count=12):
    flat = tensor.detach().flatten().double()
    return flat[torch.linspace(0, len(flat) - 1, min(count, len(flat))).long()].tolist()


def digest(network):
    lines = "".join(f"{name} {list(value.shape)}\n" for name, value in sorted(network.state_dict().items()))
    return hashlib.sha256(lines.encode()).hexdigest()


@torch.inference_mode()
@pytest.mark.parametrize(("number", "size"), list(enumerate([(224, 224), (224, 298), (397, 224), (224, 225)])))
def test_dino_gives_the_originals_features_for_square_and_other_pictures(number, size):
    found = made("dino", dino_of)(pictures(2, *size) * 2 - 1)
    np.testing.assert_allclose(numbers(found), OUTPUTS["dino"][number], **TOLERANCE)


def test_dinos_position_embedding_is_sampled_by_its_nudged_factor_not_by_the_sizes():
    network = made("dino", dino_of)
    trained = network.pos_embed[:, 1:].unflatten(1, (14, 14)).permute(0, 3, 1, 2)
    by_size = torch.nn.functional.interpolate(trained, (14, 18), mode="bicubic")
    by_factor = torch.nn.functional.interpolate(trained, scale_factor=(14.1 / 14, 18.1 / 14), mode="bicubic")
    found = network.positions(14, 18, square=False)
    assert torch.equal(found[:, 1:], by_factor.flatten(2).transpose(1, 2))
    assert (by_size - by_factor).abs().max() > 1e-2  # the rule matters
    assert torch.equal(network.positions(14, 14, square=True), network.pos_embed)
    assert not torch.equal(network.positions(14, 14, square=False), network.pos_embed)  # 224 x 225 px


@torch.inference_mode()
@pytest.mark.parametrize(("number", "size"), list(enumerate([(64, 64), (145, 201), (288, 512), (512, 291)])))
def test_musiq_gives_the_originals_scores_for_any_shape(number, size):
    found = made("musiq", musiq_of)(pictures(2, *size))
    np.testing.assert_allclose(found.tolist(), OUTPUTS["musiq"][number], **TOLERANCE)


def test_musiq_sees_every_patch_once_at_three_scales():
    found = tokens(pictures(1, 288, 512))
    sizes = [(126, 224), (216, 384), (288, 512)]
    assert [max(size) for size in sizes[:2]] == list(LONGER_SIDES)
    assert found.scales.bincount().tolist() == [-(-h // PATCH) * -(-w // PATCH) for h, w in sizes]
    assert found.positions.min() == 0 and found.positions.max() < 100


@torch.inference_mode()
@pytest.mark.parametrize(("number", "size"), list(enumerate([(128, 128), (144, 208)])))
def test_amt_gives_the_originals_frame_in_the_middle(number, size):
    first, second = pictures(2, *size).split(1)
    network = made("amt", amt_of)
    found = network(first, second)
    np.testing.assert_allclose(numbers(found), OUTPUTS["amt"][number], **TOLERANCE)
    both = network(torch.cat([first, second]), torch.cat([second, second]))
    torch.testing.assert_close(both[:1], found, rtol=1e-4, atol=2e-5)  # a batch is its pairs one by one


@torch.inference_mode()
def test_raft_of_torchvision_gives_the_originals_flow_under_the_originals_names():
    from torchvision.models.optical_flow import raft_large

    renamed = from_original(state("raft"))
    network = raft_large(weights=None).eval()
    fill(network, renamed, Path("raft"))
    first, second = (255 * pictures(2, 128, 168)).split(1)
    flow = network(first / 255 * 2 - 1, second / 255 * 2 - 1, num_flow_updates=20)[-1]
    np.testing.assert_allclose(numbers(flow), OUTPUTS["raft"], rtol=1e-3, atol=1e-3)  # px, after 20 updates


@torch.inference_mode()
def test_viclip_gives_the_originals_features_of_clip_and_text():
    network = made("viclip", viclip_of)
    found = network.vision_encoder(pictures(8, 224, 224)[None] * 2 - 1)
    np.testing.assert_allclose(numbers(found), OUTPUTS["viclip"], **TOLERANCE)


@torch.inference_mode()
def test_viclip_reads_prompts_as_the_original_tokenizer():
    bpe = pytest.importorskip("open_clip", reason="its package has CLIP's list of merges")
    from openuni.benchmark.vbench.networks.bpe import Tokenizer

    merges = Path(bpe.__file__).with_name("bpe_simple_vocab_16e6.txt.gz")
    tokenizer, network = Tokenizer(merges), made("viclip", viclip_of).text_encoder
    for text, expected in zip(GOLDEN["prompts"].values(), OUTPUTS["viclip_text"], strict=True):
        found = network(torch.tensor([tokenizer(text, context=32)]))
        np.testing.assert_allclose(numbers(found), expected, **TOLERANCE)
    start, *words, end = tokenizer("a cat " * 40, context=32)
    assert (start, end) == (49406, 49407) and 0 not in words  # cut to the context, the end kept
    assert tokenizer("", context=32)[:3] == [49406, 49407, 0]


def test_published_sizes_have_the_originals_names_and_shapes():
    with torch.device("meta"):
        networks = {
            "dino": DinoTransformer(width=768, depth=12, patch=16, grid=14),
            "musiq": Musiq(),
            "amt": AmtS(),
            "viclip": ViClip(
                VisionTower(width=1024, depth=24, patch=14, grid=16, frames=8, out=768),
                TextTower(width=768, depth=12, words=49408, context=32, out=768),
            ),
        }
    assert {name: digest(network) for name, network in networks.items()} == GOLDEN["full"]


@pytest.mark.parametrize("of", [dino_of, musiq_of, amt_of, viclip_of])
def test_weights_of_another_network_are_refused_not_guessed(of):
    own = of.__name__.removesuffix("_of")
    for network in SHAPES:
        if network != own:
            assert of(state(network)) is None


def test_a_missing_or_extra_tensor_is_named():
    damaged = state("musiq")
    del damaged["head.bias"]
    with pytest.raises(BadInput, match=r"another network than Musiq: 1 of \d+ tensors differ, as head\.bias"):
        fill(musiq_of(damaged), damaged, Path("musiq.pth"))
