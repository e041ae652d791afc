"""Tasks, times and draws: frequencies, what is noised, what is supervised, and that nothing depends on ranks."""

import numpy as np
import pytest
import torch

from openuni.errors import BadInput
from openuni.model.draws import Draws
from openuni.model.interpolant import clean_of, interpolate, logit_normal, sampling_times, shifted, target, velocity_of
from openuni.model.tasks import TaskConfig, draw, losses, make_batch, release_tasks, total_loss
from openuni.table import MODALITIES
from tests.model.tiny import generator

NAMES = tuple(MODALITIES)
MANY = 3000


def many(config, count=MANY, **options):
    return [draw(config, Draws(0, 7, sample), NAMES, **options) for sample in range(count)]


def share(draws, claim):
    return np.mean([claim(one) for one in draws])


def test_tasks_and_modalities_come_as_often_as_asked():
    config = TaskConfig(tasks={"cond": 1, "est": 2, "joint": 5}, modalities={"depth": 3, "flow": 0})
    drawn = many(config)
    # 0.03: three standard deviations of a share of 3,000
    for task, wanted in (("cond", 1 / 8), ("est", 2 / 8), ("joint", 5 / 8)):
        assert share(drawn, lambda one, task=task: one.task == task) == pytest.approx(wanted, abs=0.03)
    assert share(drawn, lambda one: one.modalities == ("depth",)) == pytest.approx(1 / 2, abs=0.03)
    assert not any("flow" in one.modalities for one in drawn)


def test_clean_streams_have_time_zero_and_dropped_conditions_time_one():
    drawn = many(TaskConfig(drop_condition=0.25))
    for one in drawn:
        if one.task == "cond":
            assert one.t_maps[0] in (0.0, 1.0) and 0 < one.t_rgb < 1
        elif one.task == "est":
            assert one.t_rgb in (0.0, 1.0) and 0 < one.t_maps[0] < 1
    conditions = [one.t_maps[0] if one.task == "cond" else one.t_rgb for one in drawn if one.task != "joint"]
    assert np.mean(conditions) == pytest.approx(0.25, abs=0.04)
    assert {one.t_maps[0] for one in many(TaskConfig(drop_condition=0.0)) if one.task == "cond"} == {0.0}


@pytest.mark.parametrize(("joint_time", "share_tied"), [("tied", 1.0), ("independent", 0.0), ("mixed", 0.5)])
def test_joint_times_are_tied_as_often_as_asked(joint_time, share_tied):
    joint = [one for one in many(TaskConfig(joint_time=joint_time)) if one.task == "joint"]
    assert share(joint, lambda one: one.t_rgb == one.t_maps[0]) == pytest.approx(share_tied, abs=0.04)


def test_estimation_has_no_caption_in_the_paper_and_one_in_the_release():
    assert not any(one.keep_caption for one in many(TaskConfig()) if one.task == "est")
    released = [one for one in many(release_tasks()) if one.task == "est"]
    assert share(released, lambda one: one.keep_caption) == pytest.approx(0.9, abs=0.05)


def test_drops_are_independent_and_as_often_as_asked():
    drawn = [one for one in many(TaskConfig(drop_caption=0.4, drop_prompt=0.3)) if one.task != "est"]
    assert share(drawn, lambda one: not one.keep_caption) == pytest.approx(0.4, abs=0.04)
    assert share(drawn, lambda one: not one.keep_prompts) == pytest.approx(0.3, abs=0.04)
    assert share(drawn, lambda one: not one.keep_caption and not one.keep_prompts) == pytest.approx(0.12, abs=0.03)


def test_routing_by_step_gives_all_samples_one_task_and_modality():
    config, step = release_tasks(), Draws(0, 3, -1)
    drawn = [draw(config, Draws(0, 3, sample), NAMES, step_draws=step) for sample in range(50)]
    assert len({(one.task, one.modalities) for one in drawn}) == 1
    assert len({one.t_rgb for one in drawn}) > 1 or drawn[0].task == "est"


def test_several_maps_are_different_modalities():
    for one in many(TaskConfig(), count=200, num_maps=3):
        assert len(set(one.modalities)) == 3 and len(one.t_maps) == 3


def test_modalities_that_a_sample_lacks_are_never_drawn():
    drawn = [draw(TaskConfig(), Draws(0, 0, sample), ["flow"]) for sample in range(50)]
    assert {one.modalities for one in drawn} == {("flow",)}
    with pytest.raises(ValueError, match="1 modalities that have a weight cannot fill 2 streams"):
        draw(TaskConfig(), Draws(0, 0, 0), ["flow"], num_maps=2)


def test_draws_depend_on_seed_step_sample_and_purpose_alone():
    first = Draws(1, 2, 3)
    assert first.uniform("a") == Draws(1, 2, 3).uniform("a")
    others = [Draws(2, 2, 3), Draws(1, 3, 3), Draws(1, 2, 4)]
    assert len({one.uniform("a") for one in [first, *others]} | {first.uniform("b")}) == 5
    shuffled = [draw(TaskConfig(), Draws(0, 5, sample), NAMES) for sample in (3, 1, 2, 0)]
    in_order = [draw(TaskConfig(), Draws(0, 5, sample), NAMES) for sample in range(4)]
    assert [in_order[sample] for sample in (3, 1, 2, 0)] == shuffled


def test_noise_is_standard_normal_and_reproducible():
    noise = Draws(0, 0, 0).noise("noise.rgb", (16, 8, 32, 32))
    assert abs(float(noise.mean())) < 0.01 and float(noise.std()) == pytest.approx(1, abs=0.01)
    assert torch.equal(noise, Draws(0, 0, 0).noise("noise.rgb", (16, 8, 32, 32)))
    assert not torch.equal(noise, Draws(0, 0, 0).noise("noise.map.0", (16, 8, 32, 32)))


def test_quantiles_of_shifted_logit_normal_times():
    """10, 50 and 90 % of logit-normal(0, 1) shifted by 3: the sigmoids of -1.2816, 0, 1.2816, moved by 3t / (1 +
    2t)."""
    config = TaskConfig(tasks={"joint": 1}, uniform_share=0.0, shift=3.0)
    times = [one.t_rgb for one in many(config, count=6000)]
    assert np.quantile(times, [0.1, 0.5, 0.9]) == pytest.approx([0.455, 0.75, 0.915], abs=0.015)
    assert {one.t_rgb for one in many(TaskConfig(tasks={"joint": 1}, noise_share=1.0), count=20)} == {1.0}


def test_shift_moves_the_middle_and_keeps_the_ends():
    assert shifted(torch.tensor([0.0, 0.5, 1.0]), 3.0).tolist() == [0.0, 0.75, 1.0]
    assert logit_normal(0.0) == 0.5
    # Five equal steps shifted by 5: 5t / (1 + 4t)
    expected = [1, 0.8 * 5 / 4.2, 0.6 * 5 / 3.4, 0.4 * 5 / 2.6, 0.2 * 5 / 1.8, 0]
    assert sampling_times(5, 5.0).tolist() == pytest.approx(expected)


def test_interpolant_is_clean_at_zero_and_noise_at_one_and_its_slope_is_the_velocity():
    x0, x1 = torch.randn(3, 2, 4, generator=generator(0)), torch.randn(3, 2, 4, generator=generator(1))
    x_t = interpolate(x0, x1, torch.tensor([0.0, 0.25, 1.0]))
    assert torch.equal(x_t[0], x0[0]) and torch.equal(x_t[2], x1[2])
    assert torch.allclose(x_t[1], 0.75 * x0[1] + 0.25 * x1[1])
    t = torch.tensor([0.2, 0.5, 0.9])
    x_t = interpolate(x0, x1, t)
    for prediction in ("velocity", "x0"):
        answer = target(x0, x1, prediction)
        torch.testing.assert_close(velocity_of(answer, x_t, t, prediction), x1 - x0)
        torch.testing.assert_close(clean_of(answer, x_t, t, prediction), x0)


@pytest.fixture
def batch():
    """Three samples: one of each task, of different modalities."""
    config, found = TaskConfig(drop_condition=0.0, drop_caption=0.0, drop_prompt=0.0), {}
    for sample in range(100):
        one = draw(config, Draws(0, 0, sample), NAMES)
        found.setdefault(one.task, one)
    drawn = [found[task] for task in ("cond", "est", "joint")]
    rng = generator(0)
    rgb, other, *noise = (torch.randn(3, 2, 1, 4, 4, generator=rng) for _ in range(4))
    captions, prompts = torch.randn(3, 5, 8, generator=rng), torch.randn(3, 5, 8, generator=rng)
    made = make_batch(
        drawn,
        rgb,
        [other],
        captions=captions,
        prompts=[prompts],
        empty=torch.zeros(5, 8),
        noise=noise,
        modalities=NAMES,
    )
    return drawn, rgb, other, captions, noise, made


def test_cond_leaves_the_map_clean_and_est_the_rgb(batch):
    _, rgb, other, captions, noise, made = batch
    assert torch.equal(made.streams[1].latent[0], other[0]) and torch.equal(made.streams[0].latent[1], rgb[1])
    assert not torch.equal(made.streams[0].latent[0], rgb[0]) and not torch.equal(made.streams[1].latent[1], other[1])
    assert torch.equal(made.streams[0].text[0], captions[0]) and not made.streams[0].text[1].any()
    assert torch.equal(made.targets[0], noise[0] - rgb)


def test_only_what_is_generated_is_supervised(batch):
    drawn, *_, made = batch
    assert [weight.tolist() for weight in made.weights] == [[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]
    assert made.streams[1].modality.tolist() == [NAMES.index(one.modalities[0]) for one in drawn]
    wrong = [wanted + 2 for wanted in made.targets]
    assert losses(wrong, made).tolist() == [[4.0, 0.0, 4.0], [0.0, 4.0, 4.0]]
    assert float(total_loss(losses(wrong, made))) == pytest.approx(16 / 3)


def test_masked_loss_is_the_weighted_mean_of_latent_pixels(batch):
    *_, made = batch
    answers = [wanted.clone() for wanted in made.targets]
    answers[1][:, :, :, 0] += 1.0  # one row of four is wrong
    mask = torch.ones(3, 1, 1, 4, 4)
    mask[:, :, :, 0] = 3.0
    assert losses(answers, made)[1].tolist() == pytest.approx([0.0, 0.25, 0.25])
    assert losses(answers, made, [None, mask])[1].tolist() == pytest.approx([0.0, 0.5, 0.5])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": {"control": 1.0}}, "tasks.tasks has control; known: cond, est, joint"),
        ({"tasks": {"cond": 0.0}}, "some task's above 0"),
        ({"drop_caption": 1.5}, "tasks.drop_caption must be from 0 to 1, got 1.5"),
        ({"routing": "batch"}, "tasks.routing must be one of sample, step, got 'batch'"),
        ({"shift": 0.0}, "tasks.shift must be above 0"),
    ],
)
def test_wrong_task_settings_are_named(changes, message):
    with pytest.raises(BadInput, match=message):
        TaskConfig(**changes)
