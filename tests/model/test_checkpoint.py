"""Weights in and out: every published layout gives the same network, and what does not fit is named."""

import json

import pytest
import torch
from diffusers import WanTransformer3DModel
from safetensors.torch import load_file, save_file

from openuni.errors import BadInput, MissingWeights
from openuni.model import wan_names
from openuni.model.checkpoint import from_wan, load
from openuni.table import MODALITIES
from tests.model.tiny import CONFIG, generator, map_stream, rgb_stream, trained, unity, wan

NAMES = list(MODALITIES)


def answers(network, *streams):
    with torch.no_grad():
        return network(streams or (rgb_stream(), map_stream()))


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(answers(one), answers(other), strict=True))


@pytest.fixture(scope="module")
def stock_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wan")
    wan().save_pretrained(folder / "transformer")
    return folder


@pytest.fixture
def original():
    """A tiny Wan under the original repository's names."""
    return wan_names.to_original(wan().state_dict())


def released(seed=7):
    """Random weights in the layout of the released UnityVideo checkpoint."""
    rng, width = generator(seed), 96
    state = {f"base.{name}": tensor for name, tensor in wan_names.to_original(wan().state_dict()).items()}

    def random(*shape):
        return 0.2 * torch.randn(*shape, generator=rng)

    state |= {"flow_patch_embedding.weight": random(width, 4, 1, 2, 2), "flow_patch_embedding.bias": random(width)}
    state |= {"flow_in.weight": random(width, width), "flow_in.bias": random(width)}
    state |= {"flow_head.head.weight": random(16, width), "flow_head.head.bias": random(16)}
    state |= {"flow_head.modulation": random(1, 2, width)}
    return state | {f"modality_embeddings.{name}": random(width) for name in wan_names.RELEASE_MODALITIES}


def test_wan_folder_file_and_original_names_give_the_same_network(stock_folder, original, tmp_path):
    save_file({name: tensor.contiguous() for name, tensor in original.items()}, tmp_path / "original.safetensors")
    folder = tmp_path / "original"
    folder.mkdir()
    save_file(
        {name: tensor.contiguous() for name, tensor in original.items()}, folder / "diffusion_pytorch_model.safetensors"
    )
    (folder / "config.json").write_text(json.dumps({"_class_name": "WanModel", "dim": 96, "num_heads": 4}))
    expected = from_wan(wan())
    for source in (stock_folder, stock_folder / "transformer", folder):
        loaded = load(source)
        assert loaded.kind == "wan" and same(loaded.network, expected)
    with pytest.raises(BadInput, match="96 wide, no multiple of an attention head's 128; .* config.json"):
        load(tmp_path / "original.safetensors")


def test_a_single_file_of_published_head_width_needs_no_config(tmp_path):
    stock = wan(num_attention_heads=1, attention_head_dim=128)
    original = {name: tensor.contiguous() for name, tensor in wan_names.to_original(stock.state_dict()).items()}
    save_file(original, tmp_path / "wan.safetensors")
    torch.save(original, tmp_path / "wan.pth")
    for name in ("wan.safetensors", "wan.pth"):
        assert same(load(tmp_path / name).network, from_wan(stock))


def test_every_tensor_has_an_original_name_and_comes_back(original):
    state = wan().state_dict()
    assert wan_names.is_original(original) and len(original) == len(state)
    assert {"blocks.0.self_attn.q.weight", "blocks.2.cross_attn.norm_k.weight", "blocks.1.norm3.bias"} <= set(original)
    assert {"blocks.0.modulation", "head.modulation", "head.head.bias", "time_projection.1.weight"} <= set(original)
    back = wan_names.to_diffusers(original)
    assert set(back) == set(state) and all(torch.equal(back[name], state[name]) for name in state)


def test_saved_network_loads_bit_for_bit(tmp_path):
    network = trained(unity(token_bias=True, head="shared", prediction="x0"))
    network.save_pretrained(tmp_path / "transformer")
    loaded = load(tmp_path)
    assert loaded.kind == "openuni" and loaded.network.config.prediction == "x0"
    assert same(loaded.network, network)


def test_saved_network_is_plain_wan_in_the_stock_class(tmp_path):
    network = trained(unity())
    torch.nn.init.zeros_(network.modality_table)  # a trained L_r is the one thing that plain Wan has no place for
    network.save_pretrained(tmp_path / "transformer")
    stock = WanTransformer3DModel.from_pretrained(tmp_path, subfolder="transformer")
    stream = rgb_stream()
    with torch.no_grad():
        expected = stock(stream.latent, stream.t * 1000, stream.text, return_dict=False)[0]
    assert torch.equal(answers(network, stream)[0], expected)


def test_sharded_checkpoints_load(tmp_path):
    network = trained(unity())
    network.save_pretrained(tmp_path / "transformer", max_shard_size="500KB")
    assert len(list((tmp_path / "transformer").glob("*.safetensors"))) > 1
    assert same(load(tmp_path).network, network)


def test_bfloat16_keeps_wans_sensitive_parts_in_float32(stock_folder):
    network = load(stock_folder, dtype=torch.bfloat16).network
    reference = WanTransformer3DModel.from_pretrained(stock_folder, subfolder="transformer", torch_dtype=torch.bfloat16)
    ours = {name: tensor.dtype for name, tensor in network.state_dict().items()}
    assert {name: ours[name] for name in reference.state_dict()} == {
        name: tensor.dtype for name, tensor in reference.state_dict().items()
    }
    assert ours["modality_table"] is torch.float32
    assert ours["modality_proj_out_weight"] is ours["modality_patch_embedding.weight"] is torch.bfloat16


def test_released_checkpoint_loads_and_its_folded_input_layer_is_the_two_layers(tmp_path):
    state = released()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"attention_head_dim": 24}))
    loaded = load(tmp_path)
    network = loaded.network
    assert loaded.kind == "release" and network.config.time == "shared"
    stream = map_stream(modality=(NAMES.index("flow"), NAMES.index("skeleton")))
    with torch.no_grad():
        convolved = torch.nn.functional.conv3d(
            stream.latent, state["flow_patch_embedding.weight"], state["flow_patch_embedding.bias"], stride=(1, 2, 2)
        )
        linear = torch.nn.functional.linear(
            convolved.flatten(2).transpose(1, 2), state["flow_in.weight"], state["flow_in.bias"]
        )
        added = torch.stack([state["modality_embeddings.raft"], state["modality_embeddings.skeleton"]])
        tokens, _ = network._embed(stream)
    torch.testing.assert_close(tokens, linear + added[:, None], atol=1e-5, rtol=1e-5)  # float32, sums of 96
    for head in network.modality_proj_out_weight:
        assert torch.equal(head, state["flow_head.head.weight"])


def test_released_checkpoint_computes_what_its_two_streams_did(tmp_path):
    """Against the stock network on the split screen, where the release's own layers are copies of Wan's."""
    state = released()
    state["flow_patch_embedding.weight"] = state["base.patch_embedding.weight"].clone()
    state["flow_patch_embedding.bias"] = state["base.patch_embedding.bias"].clone()
    state["flow_in.weight"], state["flow_in.bias"] = torch.eye(96), torch.zeros(96)
    for name in wan_names.RELEASE_MODALITIES:
        state[f"modality_embeddings.{name}"] = torch.zeros(96)
    for name in ("head.weight", "head.bias", "modulation"):
        state[f"flow_head.{name}"] = state[f"base.head.{name}"].clone()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"attention_head_dim": 24}))
    rgb, clean = rgb_stream(), map_stream(t=(0.0, 0.0), text=rgb_stream().text)
    with torch.no_grad():
        whole = wan()(torch.cat([rgb.latent, clean.latent], 4), rgb.t * 1000, rgb.text, return_dict=False)[0]
    left, right = answers(load(tmp_path).network, rgb, clean)
    torch.testing.assert_close(torch.cat([left, right], 4), whole, atol=2e-6, rtol=0)


def test_release_with_a_missing_or_unknown_tensor_is_named(tmp_path):
    state = released()
    del state["flow_in.bias"]
    with pytest.raises(BadInput, match=r"should have the tensor 'flow_in.bias', but has not"):
        wan_names.from_release(state, NAMES)
    with pytest.raises(BadInput, match="unexpected tensors: ema_step"):
        wan_names.from_release(released() | {"ema_step": torch.zeros(1)}, NAMES)


def test_checkpoint_of_three_modalities_loads_into_five(tmp_path):
    small = trained(unity(modalities=("flow", "depth", "skeleton"), token_bias=True))
    small.save_pretrained(tmp_path / "transformer")
    large = load(tmp_path, modalities=NAMES).network
    assert list(large.config.modalities) == NAMES
    for name in ("flow", "depth", "skeleton"):
        here, there = small.config.modalities.index(name), NAMES.index(name)
        one = answers(small, rgb_stream(), map_stream(modality=(here, here)))
        other = answers(large, rgb_stream(), map_stream(modality=(there, there)))
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    new = NAMES.index("densepose")
    assert torch.equal(large.modality_proj_out_weight[new], small.proj_out.weight)
    assert not large.modality_table[1 + new].any() and not large.modality_token_bias[new].any()


def test_missing_unexpected_and_misshapen_tensors_are_named(stock_folder, tmp_path):
    state = load_file(stock_folder / "transformer/diffusion_pytorch_model.safetensors")
    config = (stock_folder / "transformer/config.json").read_text()

    def refused(changed, message):
        folder = tmp_path / str(len(list(tmp_path.iterdir()))) / "transformer"
        folder.mkdir(parents=True)
        save_file(changed, folder / "diffusion_pytorch_model.safetensors")
        (folder / "config.json").write_text(config)
        with pytest.raises(BadInput, match=message) as caught:
            load(folder.parent)
        assert "\n" not in str(caught.value)

    short = {name: tensor for name, tensor in state.items() if not name.startswith("blocks.1.attn2")}
    refused(short, r"lacks 10 of the network's tensors: blocks.1.attn2.norm_k.weight, .* and 7 more")
    refused(state | {"blocks.9.odd": torch.zeros(2)}, r"has unexpected 1 of the network's tensors: blocks.9.odd")
    refused(state | {"proj_out.bias": torch.zeros(3)}, r"proj_out.bias has the shape \(3,\), expected \(16,\)")
    refused(state | {"modality_table": torch.zeros(6, 96)}, r"lacks 5 of the network's tensors: modality_patch")


def test_image_to_video_weights_are_refused(original):
    state = wan_names.to_diffusers(original) | {"blocks.0.attn2.add_k_proj.weight": torch.zeros(1)}
    with pytest.raises(BadInput, match="image-to-video network; give those of a text-to-video one"):
        wan_names.config_of(state)


def test_what_is_not_there_says_what_to_give(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MissingWeights, match=r"folder .* not found. Give a folder that holds transformer/"):
        load(tmp_path / "nothing")
    with pytest.raises(MissingWeights, match="has no transformer weights"):
        load(tmp_path)
    (tmp_path / "transformer").mkdir()
    index = {"weight_map": {"a": "one.safetensors"}}
    (tmp_path / "transformer/diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(MissingWeights, match=r"one.safetensors not found, but .* names it"):
        load(tmp_path)
    index = {"weight_map": {"a": "../../secret.safetensors"}}
    (tmp_path / "transformer/diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(BadInput, match="names files outside its folder"):
        load(tmp_path)


def test_hub_id_without_network_names_the_command(monkeypatch):
    import huggingface_hub

    def offline(*_, **__):
        raise huggingface_hub.errors.LocalEntryNotFoundError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(MissingWeights, match="hf download Wan-AI/Wan2.1-T2V-1.3B-Diffusers --include 'transformer/"):
        load("Wan-AI/Wan2.1-T2V-1.3B-Diffusers")


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_damaged_files_are_named(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(b"not a tensor in sight")
    with pytest.raises(BadInput, match=r"is not a file of tensors that can be read"):
        load(path)


def test_pickles_are_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"a": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(BadInput, match="is not a file of tensors"):
        load(tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()


def test_config_is_read_off_the_shapes(original):
    config = wan_names.config_of(wan_names.to_diffusers(original), head_dim=24)
    assert config == {name: CONFIG[name] for name in config}
    assert set(config) == set(CONFIG)
