"""Parallel: checkpointed activations, compiled blocks, and weights shared out to all ranks by FSDP2. In this order.

Muon needs whole matrices: under it every rank holds all weights, and gradients are averaged.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from openuni.errors import BadInput
from openuni.model.network import UnityVideo
from openuni.model.train_config import TrainConfig


def parallelise(network: UnityVideo, config: TrainConfig) -> UnityVideo:
    """Prepare a network for training, in place.

    In bfloat16 blocks compute in it and everything around them (patches, time, tables, heads) in float32, as Wan
    does; the modulation that reaches a block is float32. Weights stay float32: FSDP casts what it gathers.

    Raises:
        BadInput: the ranks cannot be split into `replicas`.
        ValueError: bfloat16 without a process group, which FSDP needs.
    """
    half, whole = config.dtype == "bfloat16", config.whole_weights
    if half and not whole and not dist.is_initialized():
        raise ValueError("bfloat16 needs an initialised process group (FSDP2 keeps the float32 weights)")
    if config.checkpoint_activations:
        network.enable_gradient_checkpointing()
    if config.compile:
        for block in network.blocks:
            block.compile(fullgraph=True)
    if whole:
        network.autocast_dtype = torch.bfloat16 if half else None
    elif dist.is_initialized() and (half or dist.get_world_size() > 1):
        from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

        policy = MixedPrecisionPolicy(
            param_dtype=torch.bfloat16 if half else None, reduce_dtype=torch.float32, cast_forward_inputs=False
        )
        mesh = _mesh(network, config.replicas)
        for block in network.blocks:
            fully_shard(block, mesh=mesh, mp_policy=policy)
        fully_shard(network, mesh=mesh)
        network.block_dtype = torch.bfloat16 if half else None
    return network


@torch.no_grad()
def mean_gradients(network: nn.Module) -> None:
    """Average the gradients of all ranks, in one message."""
    gradients = [one.grad for one in network.parameters() if one.grad is not None]
    flat = torch.cat([one.flatten() for one in gradients])
    dist.all_reduce(flat, op=dist.ReduceOp.SUM)
    flat /= dist.get_world_size()
    for one, mean in zip(gradients, flat.split([one.numel() for one in gradients]), strict=True):
        one.copy_(mean.view_as(one))


def _mesh(network: UnityVideo, replicas: int) -> Any:
    """All ranks in one row, or a row for each replica."""
    from torch.distributed.device_mesh import init_device_mesh

    world, kind = dist.get_world_size(), next(network.parameters()).device.type
    if world % replicas:
        raise BadInput(f"{world} ranks cannot be split into replicas={replicas}. Set it to a divisor of {world}.")
    if replicas == 1:
        return init_device_mesh(kind, (world,), mesh_dim_names=("shard",))
    return init_device_mesh(kind, (replicas, world // replicas), mesh_dim_names=("replicate", "shard"))
