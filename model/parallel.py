"""Parallel: checkpointed activations, compiled blocks, and weights shared out to all ranks by FSDP2. In this order."""

import torch
import torch.distributed as dist

from openuni.model.network import UnityVideo
from openuni.model.train_config import TrainConfig


def parallelise(network: UnityVideo, config: TrainConfig) -> UnityVideo:
    """Prepare a network for training, in place.

    In bfloat16 blocks compute in it and everything around them (patches, time, tables, heads) in float32, as Wan
    does; the modulation that reaches a block is float32. Weights stay float32: FSDP casts what it gathers.

    Raises:
        ValueError: bfloat16 without a process group, which FSDP needs.
    """
    half = config.dtype == "bfloat16"
    if half and not dist.is_initialized():
        raise ValueError("bfloat16 needs an initialised process group (FSDP2 keeps the float32 weights)")
    if config.checkpoint_activations:
        network.enable_gradient_checkpointing()
    if config.compile:
        for block in network.blocks:
            block.compile(fullgraph=True)
    if dist.is_initialized() and (half or dist.get_world_size() > 1):
        from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

        policy = MixedPrecisionPolicy(
            param_dtype=torch.bfloat16 if half else None, reduce_dtype=torch.float32, cast_forward_inputs=False
        )
        for block in network.blocks:
            fully_shard(block, mp_policy=policy)
        fully_shard(network)
        network.block_dtype = torch.bfloat16 if half else None
    return network
