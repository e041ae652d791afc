"""Context parallel: the tokens of one clip shared out to several ranks, by Ulysses attention (Jacobs et al. 2023).

A block treats tokens as a bag, so that each rank may hold any of them; only self-attention exchanges heads for
tokens, by diffusers' own Ulysses. Every rank gives the same latents and gets whole answers.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor

if TYPE_CHECKING:
    from openuni.model.network import UnityVideo


@dataclass(frozen=True)
class Context:
    """This rank's place among those that share a clip."""

    rank: int
    size: int
    group: dist.ProcessGroup | None = None

    def own(self, tokens: Tensor) -> Tensor:
        """This rank's part of (.., N, ..) tokens or positions, along dimension 1.

        Raises:
            ValueError: N is no multiple of the number of ranks.
        """
        if tokens.shape[1] % self.size:
            raise ValueError(
                f"{tokens.shape[1]} tokens of a stream cannot be shared out to {self.size} ranks; "
                f"use a size and length whose tokens are a multiple of {self.size}, or fewer ranks"
            )
        return tokens.chunk(self.size, dim=1)[self.rank].contiguous()

    def gathered(self, tokens: Tensor) -> Tensor:
        """All ranks' parts, in order. Differentiable: each rank's loss must be the whole clip's."""
        return _Gather.apply(tokens, self)


class _Gather(torch.autograd.Function):
    """Concatenate over ranks. Backward hands each rank its own part: every rank computes the same loss of the whole."""

    @staticmethod
    def forward(ctx, tokens: Tensor, context: Context) -> Tensor:  # type: ignore[no-untyped-def, override]
        ctx.context = context
        parts = [torch.empty_like(tokens) for _ in range(context.size)]
        dist.all_gather(parts, tokens.contiguous(), group=context.group)
        return torch.cat(parts, dim=1)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def, override]
        return ctx.context.own(gradient), None


def enable(network: "UnityVideo", group: dist.ProcessGroup | None = None) -> None:
    """Share out the tokens of each clip to the ranks of a group; the network's heads must be a multiple of them.

    After backward the gradients of a rank are those of its own tokens: sum them over the group.

    Args:
        network: the network, the same on every rank.
        group: of an initialised process group; None: all ranks.

    Raises:
        ValueError: the heads cannot be shared out.
    """
    from diffusers.models._modeling_parallel import ContextParallelConfig, ParallelConfig
    from torch.distributed.device_mesh import DeviceMesh

    size, rank = dist.get_world_size(group), dist.get_rank(group)
    heads = network.arguments.num_attention_heads
    if heads % size:
        raise ValueError(f"{heads} attention heads cannot be shared out to {size} ranks; use a divisor of {heads}")
    device = next(network.parameters()).device
    config = ContextParallelConfig(ulysses_degree=size)
    ranks = dist.get_process_group_ranks(group if group is not None else dist.group.WORLD)
    mesh = DeviceMesh(device.type, torch.tensor(ranks).reshape(config.mesh_shape), mesh_dim_names=config.mesh_dim_names)
    parallel = ParallelConfig(context_parallel_config=config)
    parallel.setup(rank, size, device, mesh=mesh)
    for block in network.blocks:
        processor: Any = block.attn1.processor  # type: ignore[union-attr]
        processor._parallel_config, processor._attention_backend = parallel, "native"
    network.context = Context(rank, size, group)
