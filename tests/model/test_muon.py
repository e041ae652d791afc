"""Stacked Muon: torch's Muon in fewer, larger products."""

import copy

import pytest
import torch

from openuni.model.muon import StackedMuon, orthogonal


def test_stacked_muon_steps_as_torchs_muon_does():
    torch.manual_seed(0)
    shapes = [(12, 12), (12, 12), (36, 12), (12, 36), (36, 12)]
    mine = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = copy.deepcopy(mine)
    settings = {"lr": 0.02, "weight_decay": 0.1, "momentum": 0.95}
    stacked, plain = StackedMuon(mine, **settings), torch.optim.Muon(theirs, **settings)
    for step in range(4):
        for one, other in zip(mine, theirs, strict=True):
            one.grad = torch.randn(one.shape, generator=torch.Generator().manual_seed(step))
            other.grad = one.grad.clone()
        stacked.step()
        plain.step()
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=2e-3)  # four steps of .02 whose direction is bfloat16


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 48, 16), (2, 16, 48)])
def test_orthogonal_brings_singular_values_near_one(shape):
    stack = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    found = torch.linalg.svdvals(orthogonal(stack, (3.4445, -4.7750, 2.0315), 5, 1e-7))
    assert found.shape == (shape[0], 16) and found.min() > 0.3 and found.max() < 1.3


def test_a_parameter_without_gradient_is_left_alone():
    moved, still = (torch.nn.Parameter(torch.ones(4, 4)) for _ in range(2))
    moved.grad = torch.eye(4)
    StackedMuon([moved, still], lr=0.1, weight_decay=0.1).step()
    assert torch.equal(still, torch.ones(4, 4)) and not torch.equal(moved, torch.ones(4, 4))
