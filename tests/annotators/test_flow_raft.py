"""RAFT: torchvision's numbers, the original's tensor names, both directions, other sizes, what is refused."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torchvision.models import optical_flow

from openuni.annotators.flow_raft import Raft, RaftSmall, _work_size
from openuni.annotators.raft_names import from_original, is_original
from openuni.engine.stage import Absent
from openuni.errors import BadInput
from openuni.modality import modality
from tests.annotators.tiny_experts import save_raft

UPDATES = 2


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    save_raft(folder / "raft")
    return folder


@pytest.fixture(scope="module")
def raft(weights):
    stage = RaftSmall(weights=str(weights), device="cpu", updates=UPDATES, batch_size=2)
    stage.setup()
    return stage


def frames(count, height, width, seed=0):
    import cv2

    rng = np.random.default_rng(seed)
    texture = cv2.resize(rng.integers(0, 255, (height // 8, width // 8, 3)).astype(np.float32), (width + count, height))
    return np.stack([texture[:, t : t + width] for t in range(count)]).clip(0, 255).astype(np.uint8)


def reference(weights, first, second):
    """torchvision's own recipe: its transforms, its network."""
    network = optical_flow.raft_small(weights=None)
    network.load_state_dict(torch.load(weights / "raft/raft_small_C_T_V2-01064c6d.pth", weights_only=True))
    prepare = optical_flow.Raft_Small_Weights.DEFAULT.transforms()
    a, b = (torch.from_numpy(one).permute(2, 0, 1)[None] for one in (first, second))
    with torch.no_grad():
        return network.eval()(*prepare(a, b), num_flow_updates=UPDATES)[-1][0].permute(1, 2, 0).numpy()


def test_both_directions_are_torchvisions_own_numbers(weights, raft):
    rgb = frames(4, 128, 136)
    forward, backward = raft.both_ways(rgb)
    for t in range(3):
        ahead, back = reference(weights, rgb[t], rgb[t + 1]), reference(weights, rgb[t + 1], rgb[t])
        assert np.abs(ahead).mean() > 0.01
        assert np.abs(forward[t] - ahead).max() < 1e-4  # px; float32 sums in batches of another size
        assert np.abs(backward[t] - back).max() < 1e-4


def test_the_map_passes_the_codec_and_the_last_frame_is_invalid(raft):
    rgb = frames(3, 130, 140)
    result = raft(SimpleNamespace(frames=SimpleNamespace(rgb=rgb)))
    modality("flow").check(result.map)
    assert (
        result.map.data.shape == (3, 130, 140, 2) and not result.map.valid[-1].any() and not result.map.data[-1].any()
    )
    assert set(result.scores) == {column.name for column in raft.columns}


def test_other_sizes_are_padded_made_smaller_or_larger():
    assert _work_size(480, 832, 1280) == (480, 832)
    assert _work_size(1080, 1920, 1280) == (720, 1280)
    assert _work_size(64, 96, 1280) == (128, 192)
    assert _work_size(100, 2000, 1280) == (128, 2560)  # the network cannot do with less


class Shift(torch.nn.Module):
    """Gives the flow that was planted for the size it is called with: 1 px of ITS picture to the right."""

    def forward(self, first, second, num_flow_updates):
        self.seen = tuple(first.shape[-2:])
        flow = torch.zeros(len(first), 2, *self.seen)
        flow[:, 0], flow[:, 1] = 1.0, -0.5
        return [flow]


def test_flow_is_scaled_back_to_the_frames(weights, monkeypatch):
    stage = RaftSmall(weights=str(weights), device="cpu", max_side_px=256)
    stage.setup()
    stage.network = Shift()
    forward, _ = stage.both_ways(np.zeros((2, 300, 512, 3), np.uint8))
    assert stage.network.seen == (152, 256)
    assert np.allclose(forward[..., 0], 2.0) and np.allclose(forward[..., 1], -1.0)
    forward, _ = stage.both_ways(np.zeros((2, 64, 96, 3), np.uint8))
    assert stage.network.seen == (128, 192)
    assert np.allclose(forward[..., 0], 0.5) and np.allclose(forward[..., 1], -0.25)


def original_names(state, convs):
    """torchvision's names to the original's, written from the original's module tree, norm of downsample twice."""
    import re

    to = {}
    for name, value in state.items():
        old = name.replace("feature_encoder", "fnet").replace("context_encoder", "cnet")
        old = re.sub(r"net\.convnormrelu\.([01])", lambda m: f"net.{('conv1', 'norm1')[int(m[1])]}", old)
        old = re.sub(r"net\.conv\.", "net.conv2.", old)
        old = re.sub(r"convnormrelu(\d)\.([01])", lambda m: f"{('conv', 'norm')[int(m[2])]}{m[1]}", old)
        old = old.replace("motion_encoder.convcorr", "encoder.convc").replace(
            "motion_encoder.convflow", "encoder.convf"
        )
        old = re.sub(r"(encoder\.conv[cf]\d)\.0", r"\1", old).replace("motion_encoder.conv.0", "encoder.conv")
        gru = r"gru.conv\2\1" if convs == 2 else r"gru.conv\2"
        old = re.sub(r"recurrent_block\.convgru(\d)\.conv(\w)", gru, old)
        old = old.replace("mask_predictor.convrelu.0", "update_block.mask.0").replace(
            "mask_predictor.conv", "update_block.mask.2"
        )
        to[f"module.{old}"] = value
        if "downsample.1" in old:
            to["module." + old.replace("downsample.1", f"norm{convs + 1}")] = value
    return to


@pytest.mark.parametrize(("builder", "convs"), [("raft_large", 2), ("raft_small", 3)])
def test_original_files_load_into_torchvisions_network(builder, convs):
    state = getattr(optical_flow, builder)(weights=None).state_dict()
    old = {name.removeprefix("module."): value for name, value in original_names(state, convs).items()}
    assert is_original(old) and not is_original(state)
    assert {"fnet.conv1.weight", "cnet.layer2.0.downsample.0.weight", "update_block.encoder.convc1.weight"} <= set(old)
    assert ("update_block.gru.convz2.weight" in old) == (builder == "raft_large")
    new = from_original(old)
    assert set(new) == set(state) and all(torch.equal(new[name], state[name]) for name in state)


def test_raft_large_loads_a_file_with_the_originals_names(tmp_path):
    network = optical_flow.raft_large(weights=None)
    torch.save(original_names(network.state_dict(), 2), tmp_path / "raft-things.pth")
    stage = Raft(weights=str(tmp_path), device="cpu")
    stage.setup()
    mine = stage.network.state_dict()
    assert all(torch.equal(mine[name], value) for name, value in network.state_dict().items())


def test_the_wrong_raft_is_one_clear_line(tmp_path):
    save_raft(tmp_path / "raft").rename(tmp_path / "raft" / "raft_large_C_T_SKHT_V2-ff5fadd5.pth")
    with pytest.raises(BadInput, match=r"raft_large_C_T_SKHT_V2-ff5fadd5.pth is for another network than RAFT: \d+ of"):
        Raft(weights=str(tmp_path), device="cpu").setup()


def test_one_frame_has_no_flow_and_odd_settings_are_refused(raft, weights):
    with pytest.raises(Absent, match="too_short"):
        raft(SimpleNamespace(frames=SimpleNamespace(rgb=frames(1, 128, 128))))
    with pytest.raises(BadInput, match="flow.updates must be 1 or more"):
        RaftSmall(weights=str(weights), updates=0)
