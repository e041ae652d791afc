"""Optimisers and moving average. Both work on whatever a rank holds: whole parameters, or FSDP's parts of them."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from openuni.model.muon import StackedMuon
from openuni.model.train_config import TrainConfig


def optimisers(network: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """Return AdamW over everything, or, as `config.optimiser` says, Muon over the blocks' matrices and AdamW over the
    rest.

    Muon (Jordan 2024, https://kellerjordan.github.io/posts/muon) replaces the momentum of a matrix by the nearest
    orthogonal one; input, output and embedding layers, tables and vectors stay with AdamW, as its author says.
    """
    named = dict(network.named_parameters())
    matrices = [name for name, one in named.items() if name.startswith("blocks.") and one.ndim == 2]
    if config.optimiser == "adamw" or not matrices:
        return [adamw(named.items(), config)]
    muon = StackedMuon(
        [{"params": [named[name] for name in matrices], "times": config.muon_rate / config.learning_rate}],
        lr=config.muon_rate,
        weight_decay=config.weight_decay,
        momentum=0.95,  # its author's, as the rest of its defaults
    )
    rest = set(named) - set(matrices)
    return [muon, adamw([(name, one) for name, one in named.items() if name in rest], config)]


def adamw(named: Iterable[tuple[str, nn.Parameter]], config: TrainConfig) -> torch.optim.AdamW:
    """Return AdamW over four groups: new parameters at `new_rate` times the rate, and weight decay for matrices
    alone."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in named:
        matrix = parameter.ndim >= 2 and "table" not in name and "bias" not in name
        groups.setdefault((name.startswith("modality_"), matrix), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr": config.learning_rate,
                "weight_decay": config.weight_decay if matrix else 0.0,
                "times": config.new_rate if new else 1.0,
            }
            for (new, matrix), parameters in groups.items()
        ],
        lr=config.learning_rate,
        betas=config.betas,
    )


def set_rate(optimisers: Iterable[torch.optim.Optimizer], config: TrainConfig, step: int) -> float:
    """Set the learning rates of a step, and return AdamW's without the new parameters' multiple."""
    rate = config.learning_rate * config.rate(step)
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = rate * group["times"]
    return rate


class Average:
    """Exponential moving average of the weights, in float32.

    It starts as the weights are, and follows faster at first: decay min(ema, (1 + n) / (10 + n)) after n updates, so
    that a short run's average is not its beginning.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.weights = {name: parameter.detach().clone().float() for name, parameter in network.named_parameters()}

    @torch.no_grad()
    def update(self, parameters: Iterable[tuple[str, Tensor]]) -> None:
        """Move towards the weights as they are."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        named = list(parameters)
        averages = [self.weights[name] for name, _ in named]
        torch._foreach_lerp_(averages, [parameter.detach().float() for _, parameter in named], 1 - decay)
