"""Sampling: exact answers for networks whose answer is known, guidance by its definition, windows that cover."""

from itertools import pairwise

import pytest
import torch

from openuni.errors import BadInput
from openuni.model.sampler import SAMPLERS, Given, Guidance, SamplerConfig, sample, windows
from openuni.model.tasks import TaskConfig
from tests.model.tiny import generator, map_stream, rgb_stream, trained, unity


class Straight:
    """A network whose velocity leads straight to a clean latent of its own for each stream."""

    def __init__(self, clean, prediction="velocity"):
        self.clean, self.arguments = clean, type("A", (), {"prediction": prediction})()
        self.patch_embedding = torch.nn.Conv3d(1, 1, 1)
        self.seen = []

    def __call__(self, streams):
        self.seen.append(streams)
        out = []
        for stream, clean in zip(streams, self.clean, strict=True):
            t = stream.t.view(-1, 1, 1, 1, 1)
            answer = clean if self.arguments.prediction == "x0" else (stream.latent - clean) / t.clamp_min(1e-6)
            out.append(answer if stream.predict else None)
        return out


def given(*, generate=(True, True), seed=0, batch=2):
    rgb, other = rgb_stream(batch, seed=seed), map_stream(batch, seed=seed + 1)
    return [
        Given(rgb.latent, rgb.text, None, generate[0]),
        Given(other.latent, other.text, other.modality, generate[1]),
    ]


EMPTY = torch.zeros(6, 32)


@pytest.mark.parametrize("solver", ["euler", "unipc"])
@pytest.mark.parametrize("steps", [1, 4, 20])
@pytest.mark.parametrize("prediction", ["velocity", "x0"])
def test_straight_paths_are_followed_to_their_end(solver, steps, prediction):
    streams = given()
    clean = [torch.randn(stream.latent.shape, generator=generator(9 + k)) for k, stream in enumerate(streams)]
    out = sample(
        Straight(clean, prediction), streams, SamplerConfig(solver=solver, steps=steps), shift=5.0, empty=EMPTY
    )
    for found, wanted in zip(out, clean, strict=True):
        # UniPC starts at t = 0.9999: what is left of the noise there.
        torch.testing.assert_close(found, wanted, atol=1e-3 if solver == "unipc" else 1e-4, rtol=0)


def test_unipc_is_nearer_than_euler_on_a_curved_path():
    """dx/dt = 3 x, so that x(0) = x(1) exp(-3): the error at 20 steps is at most a quarter of Euler's."""

    class Curved(Straight):
        def __call__(self, streams):
            return [3 * stream.latent for stream in streams]

    streams = given()
    exact = [stream.latent * torch.exp(torch.tensor(-3.0)) for stream in streams]
    error = {}
    for solver in ("euler", "unipc"):
        out = sample(Curved([]), streams, SamplerConfig(solver=solver, steps=20), shift=1.0, empty=EMPTY)
        error[solver] = max(float((a - b).abs().max()) for a, b in zip(out, exact, strict=True))
    assert error["unipc"] < error["euler"] / 4


def test_conditions_stay_clean_and_are_told_so():
    network = Straight([torch.zeros(1)] * 2)
    streams = given(generate=(True, False))
    out = sample(network, streams, SamplerConfig(solver="euler", steps=3), shift=1.0, empty=EMPTY)
    assert torch.equal(out[1], streams[1].latent)
    assert all(not seen[1].t.any() and not seen[1].predict for seen in network.seen)
    assert [float(seen[0].t[0]) for seen in network.seen] == pytest.approx([1, 2 / 3, 1 / 3])


def test_weight_one_costs_no_pass_and_every_other_part_one():
    for guidance, passes in (
        (Guidance(), 1),
        (Guidance(text=5.0), 2),
        (Guidance(text=5.0, prompt=2.0, condition=3.0), 4),
    ):
        network = Straight([torch.zeros(1)] * 2)
        config = SamplerConfig(solver="euler", steps=2, guidance=guidance)
        sample(network, given(generate=(True, False)), config, shift=1.0, empty=EMPTY)
        assert len(network.seen) == 2 * passes


@pytest.mark.parametrize("part", ["text", "prompt", "condition", "inner"])
def test_guidance_is_its_definition_in_one_euler_step(part):
    network = trained(unity())
    streams = given(generate=(True, part == "inner"))
    noise = [torch.randn(stream.latent.shape, generator=generator(4)) for stream in streams]
    config = SamplerConfig(solver="euler", steps=1, guidance=Guidance(**{part: 3.0}))

    def rgb_velocity(streams):
        with torch.no_grad():
            one = sample(network, streams, SamplerConfig(solver="euler", steps=1), shift=1.0, empty=EMPTY)[0]
        return streams[0].latent - one

    full = rgb_velocity(streams)
    left = list(streams)
    if part == "text":
        left[0] = left[0]._replace(text=torch.zeros_like(left[0].text))
    elif part == "prompt":
        left[1] = left[1]._replace(text=torch.zeros_like(left[1].text))
    else:  # noise in the stream's place at t = 1, where sampling begins
        left[1] = left[1]._replace(latent=noise[1], generate=True)
    without = rgb_velocity(left)
    with torch.no_grad():
        out = sample(network, streams, config, shift=1.0, empty=EMPTY, noise=noise)[0]
    torch.testing.assert_close(out, streams[0].latent - (without + 3.0 * (full - without)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("part", "rate"),
    [("text", "drop_caption"), ("prompt", "drop_prompt"), ("condition", "drop_condition"), ("inner", "drop_condition")],
)
def test_guidance_on_what_was_never_dropped_is_refused(part, rate):
    with pytest.raises(BadInput, match=f"Guidance on {part} needs .* tasks.{rate} is 0. Use a weight of 1"):
        Guidance(**{part: 2.0}).check(TaskConfig(**{rate: 0.0}))
    Guidance(**{part: 2.0}).check(TaskConfig(**{rate: 0.1}))


def test_windows_cover_all_frames_and_share_the_overlap():
    for frames in range(1, 40):
        for length, overlap in ((5, 2), (9, 0), (4, 3)):
            spans = list(windows(frames, length, overlap))
            covered = sorted({k for span in spans for k in range(span.start, span.stop)})
            assert covered == list(range(frames))
            assert {span.stop - span.start for span in spans} == {min(frames, length)}
            assert all(one.stop - other.start >= overlap for one, other in pairwise(spans))
    assert list(windows(30, None, 0)) == [slice(0, 30)]


def test_windows_give_the_whole_where_frames_do_not_matter_to_each_other():
    class ByFrame(Straight):
        def __call__(self, streams):
            return [stream.latent * stream.t.view(-1, 1, 1, 1, 1) for stream in streams]

    streams = given()
    config = {"solver": "euler", "steps": 4}
    whole = sample(ByFrame([]), streams, SamplerConfig(**config), shift=1.0, empty=EMPTY)
    parts = sample(ByFrame([]), streams, SamplerConfig(**config, window=2, overlap=1), shift=1.0, empty=EMPTY)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other)


def test_progress_is_told_after_every_step():
    told = []
    config = SamplerConfig(solver="euler", steps=3)
    sample(
        Straight([torch.zeros(1)] * 2), given(), config, shift=1.0, empty=EMPTY, progress=lambda *now: told.append(now)
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_presets_are_the_published_settings():
    assert (SAMPLERS["paper"].steps, SAMPLERS["paper"].guidance.text) == (50, 7.5)
    assert (SAMPLERS["release"].solver, SAMPLERS["release"].steps, SAMPLERS["release"].shift) == ("euler", 20, 1.0)
    assert not SAMPLERS["release"].guidance.parts()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"solver": "ddim"}, "solver must be one of euler, unipc, got 'ddim'"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"window": 4, "overlap": 4}, "overlap must be from 0 to below the window of 4, got 4"),
    ],
)
def test_wrong_sampler_settings_are_named(changes, message):
    with pytest.raises(BadInput, match=message):
        SamplerConfig(**changes)
