"""The unified network against stock Wan: equal where it must be, and different only where it may."""

import pytest
import torch

from openuni.model.checkpoint import from_wan
from openuni.model.network import UnityVideo
from openuni.table import MODALITIES
from tests.model.tiny import CONFIG, SIZE, map_stream, rgb_stream, trained, unity, wan

WIDTH = SIZE[2]


@pytest.fixture(scope="module")
def both():
    """A stock Wan and the unified network made of it."""
    stock = wan()
    return stock, from_wan(stock)


def stock_answer(stock, stream, latent=None, t=None):
    t = stream.t if t is None else t
    with torch.no_grad():
        return stock(stream.latent if latent is None else latent, t * 1000, stream.text, return_dict=False)[0]


def answers(network, *streams):
    with torch.no_grad():
        return network(streams)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_without_modality_streams_the_network_is_stock_wan_bit_for_bit(dtype):
    stock = wan().to(dtype)
    network = from_wan(stock).to(dtype)
    stream = rgb_stream()
    stream = stream._replace(latent=stream.latent.to(dtype), text=stream.text.to(dtype))
    (answer,) = answers(network, stream)
    assert torch.equal(answer, stock_answer(stock, stream))


def test_two_streams_at_start_are_stock_wan_on_the_split_screen(both):
    stock, network = both
    rgb = rgb_stream()
    other = map_stream(text=rgb.text)
    whole = stock_answer(stock, rgb, torch.cat([rgb.latent, other.latent], dim=4))
    left, right = answers(network, rgb, other)
    # 2e-6: the same sums in another order, float32, answers of about 0.5
    torch.testing.assert_close(left, whole[..., :WIDTH], atol=2e-6, rtol=0)
    torch.testing.assert_close(right, whole[..., WIDTH:], atol=2e-6, rtol=0)


def test_three_streams_at_start_are_stock_wan_on_the_split_screen(both):
    stock, network = both
    rgb = rgb_stream()
    others = [map_stream(seed=seed, modality=ids, text=rgb.text) for seed, ids in ((2, (0, 3)), (3, (4, 1)))]
    whole = stock_answer(stock, rgb, torch.cat([rgb.latent, *(other.latent for other in others)], dim=4))
    for place, answer in enumerate(answers(network, rgb, *others)):
        torch.testing.assert_close(answer, whole[..., place * WIDTH : (place + 1) * WIDTH], atol=2e-6, rtol=0)


def test_clean_stream_at_start_is_stock_wan_with_a_time_for_each_token(both):
    """Wan2.2 TI2V gives every token its own time; ours does so by stream."""
    stock, network = both
    rgb, other = rgb_stream(), map_stream(t=(0.0, 0.0), text=rgb_stream().text)
    frames, height, width = SIZE[0], SIZE[1] // 2, WIDTH // 2
    t = torch.zeros(2, frames, height, 2 * width)
    t[..., :width] = rgb.t[:, None, None, None]
    whole = stock_answer(stock, rgb, torch.cat([rgb.latent, other.latent], dim=4), t.flatten(1))
    left, right = answers(network, rgb, other)
    torch.testing.assert_close(left, whole[..., :WIDTH], atol=2e-6, rtol=0)
    torch.testing.assert_close(right, whole[..., WIDTH:], atol=2e-6, rtol=0)


def test_a_modality_stream_changes_the_rgb_answer(both):
    _, network = both
    (alone,) = answers(network, rgb_stream())
    with_map, _ = answers(network, rgb_stream(), map_stream())
    assert (alone - with_map).norm() > 1e-3 * alone.norm()


def test_estimation_and_generation_answer_only_what_is_asked(both):
    _, network = both
    rgb, other = rgb_stream(), map_stream()
    whole = answers(network, rgb, other)
    condition = answers(network, rgb._replace(predict=False), other)
    assert condition[0] is None and torch.equal(condition[1], whole[1])
    generation = answers(network, rgb, other._replace(predict=False))
    assert generation[1] is None and torch.equal(generation[0], whole[0])


def test_samples_of_one_batch_may_have_different_modalities():
    network = trained(unity())
    rgb, other = rgb_stream(), map_stream(modality=(1, 4))
    together = answers(network, rgb, other)
    for sample in range(2):
        part = [type(stream)(*(x[sample : sample + 1] for x in stream[:3])) for stream in (rgb, other)]
        part[1] = part[1]._replace(modality=other.modality[sample : sample + 1])
        alone = answers(network, *part)
        for one, both in zip(alone, together, strict=True):
            torch.testing.assert_close(one[0], both[sample], atol=1e-5, rtol=1e-5)


def test_each_modality_has_its_own_head_and_switch():
    network = trained(unity())
    answer = [answers(network, rgb_stream(), map_stream(modality=(which, which))) for which in range(len(MODALITIES))]
    for a in range(len(answer)):
        for b in range(a):
            assert (answer[a][1] - answer[b][1]).abs().max() > 1e-3  # head, tables
            assert (answer[a][0] - answer[b][0]).abs().max() > 1e-6  # the switch acts through attention


def test_every_parameter_gets_a_gradient_from_a_batch_of_one_modality():
    network = trained(unity(token_bias=True))
    loss = sum(answer.square().mean() for answer in network([rgb_stream(), map_stream(modality=(2, 2))]))
    loss.backward()
    without = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert not without


def test_modality_prompt_reaches_only_the_modality_streams_cross_attention():
    """With the layers that mix streams cut out, C_m does not change the RGB answer, and C_r not the map's."""
    network = trained(unity())
    for block in network.blocks:
        torch.nn.init.zeros_(block.attn1.to_out[0].weight)
        torch.nn.init.zeros_(block.attn1.to_out[0].bias)
    rgb, other = rgb_stream(), map_stream()
    before = answers(network, rgb, other)
    for changed, streams in ((1, (rgb, other._replace(text=-other.text))), (0, (rgb._replace(text=-rgb.text), other))):
        after = answers(network, *streams)
        assert torch.equal(after[1 - changed], before[1 - changed])
        assert not torch.equal(after[changed], before[changed])


def test_without_the_in_context_learner_maps_attend_to_the_caption():
    network = trained(unity(in_context=False))
    rgb, other = rgb_stream(), map_stream()
    before = answers(network, rgb, other)
    after = answers(network, rgb, other._replace(text=other.text * 0 + 3))
    # The time embedding takes its dtype from the text, nothing else.
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_without_the_switcher_there_is_no_table_and_modalities_differ_by_prompt_and_head_alone():
    network = trained(unity(switcher=False, head="shared"))
    assert network.modality_table is None
    one, other = (answers(network, rgb_stream(), map_stream(modality=(which, which))) for which in (0, 3))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_shared_time_modulates_a_clean_stream_by_the_noisy_ones():
    shared, own = trained(unity(time="shared")), trained(unity())
    rgb, clean = rgb_stream(), map_stream(t=(0.0, 0.0))
    expected = answers(own, rgb, clean._replace(t=rgb.t))
    for answer, wanted in zip(answers(shared, rgb, clean), expected, strict=True):
        assert torch.equal(answer, wanted)


def test_token_bias_starts_as_nothing_and_tells_modalities_apart():
    network = unity(token_bias=True)
    with_bias = answers(network, rgb_stream(), map_stream())
    assert all(torch.equal(a, b) for a, b in zip(with_bias, answers(unity(), rgb_stream(), map_stream()), strict=True))
    torch.nn.init.ones_(network.modality_token_bias)
    assert not torch.equal(answers(network, rgb_stream(), map_stream())[1], with_bias[1])


def test_parameters_beyond_wan_are_all_called_modality():
    stock, network = wan(), unity()
    added = set(network.state_dict()) - set(stock.state_dict())
    assert added and all(name.startswith("modality_") for name in added)
    assert set(stock.state_dict()) <= set(network.state_dict())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": "both"}, "head must be one of per_modality, shared, got 'both'"),
        ({"time": "one"}, "time must be one of per_stream, shared, got 'one'"),
        ({"prediction": "noise"}, "prediction must be one of velocity, x0, got 'noise'"),
        ({"modalities": ("depth", "depth")}, "modalities must be different names"),
        ({"image_dim": 1280}, "image-to-video networks"),
    ],
)
def test_wrong_switches_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        UnityVideo(**{**CONFIG, **changes})


def test_latents_off_the_grid_and_beyond_the_rotary_table_are_named(both):
    _, network = both
    odd = rgb_stream()
    with pytest.raises(ValueError, match=r"must be multiples of \(1, 2, 2\), got \(3, 8, 11\)"):
        network([odd._replace(latent=odd.latent[..., :11])])
    small = unity(rope_max_seq_len=10)
    with pytest.raises(ValueError, match=r"3 x 4 x 12 tokens .* more than the 10 positions"):
        small([rgb_stream(), map_stream()])


def test_block_compiles_without_graph_break_for_one_and_two_streams():
    network = trained(unity())
    expected = [answers(network, *streams) for streams in ((rgb_stream(),), (rgb_stream(), map_stream()))]
    for block in network.blocks:
        block.compile(fullgraph=True, backend="aot_eager")
    for streams, wanted in zip(((rgb_stream(),), (rgb_stream(), map_stream())), expected, strict=True):
        for answer, want in zip(answers(network, *streams), wanted, strict=True):
            torch.testing.assert_close(answer, want, atol=2e-6, rtol=0)


def test_activation_checkpointing_gives_the_same_gradients():
    gradients = []
    for checkpointed in (False, True):
        network = trained(unity()).train()
        if checkpointed:
            network.enable_gradient_checkpointing()
        sum(answer.square().mean() for answer in network([rgb_stream(), map_stream()])).backward()
        gradients.append({name: parameter.grad for name, parameter in network.named_parameters()})
    assert all(torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])
