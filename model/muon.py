"""Stacked Muon: torch's Muon, with the matrices of one shape orthogonalised together.

A small network on a GPU waits for kernel starts: 80 matrices one by one are some 1,800 of them a step. Stacked by shape
they are a few dozen. The update is torch.optim.Muon's (Jordan 2024, https://kellerjordan.github.io/posts/muon).
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class StackedMuon(torch.optim.Muon):
    """torch.optim.Muon with its default `adjust_lr_fn`; state and arguments are its own."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters: list[Tensor] = []
            gradients: list[Tensor] = []
            momenta: list[Tensor] = []
            self._init_group(group, parameters, gradients, momenta)
            if parameters:
                _update(group, parameters, gradients, momenta)
        return loss


def _update(group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor], momenta: list[Tensor]) -> None:
    """Momentum, weight decay and the orthogonal step of one group, in place."""
    torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
    moves = torch._foreach_lerp(gradients, momenta, group["momentum"]) if group["nesterov"] else momenta
    torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
    alike: dict[torch.Size, list[int]] = defaultdict(list)
    for number, parameter in enumerate(parameters):
        alike[parameter.shape].append(number)
    for shape, numbers in alike.items():
        stack = torch.stack([moves[number] for number in numbers])
        steps = orthogonal(stack, group["ns_coefficients"], group["ns_steps"], group["eps"])
        length = group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
        torch._foreach_add_([parameters[number] for number in numbers], list(steps.unbind()), alpha=-length)


def orthogonal(stack: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """Matrices near the closest orthogonal ones, by quintic Newton-Schulz iteration in bfloat16.

    Args:
        stack: (N, R, C).
        coefficients: of x, x^3 and x^5.
        steps: iterations.
        eps: least norm that is divided by.

    Returns:
        (N, R, C) in the dtype of `stack`; singular values near 1, between about .7 and 1.2.
    """
    a, b, c = coefficients
    tall = stack.shape[1] > stack.shape[2]
    x = (stack.mT if tall else stack).bfloat16()
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(stack.dtype)
