"""Two processes compute what one does: FSDP2 shards the weights, Ulysses the tokens of a clip."""

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from openuni.model.context_parallel import enable
from tests.model.tiny import map_stream, rgb_stream, trained, unity

RANKS = 2


def spread(work, tmp_path):
    """Run `work(rank, result_path)` on two gloo ranks, and return what rank 0 saved."""
    result = tmp_path / "result.pt"
    mp.spawn(_on_rank, args=(work, str(tmp_path / "store"), str(result)), nprocs=RANKS)
    return torch.load(result, weights_only=True)


def _on_rank(rank, work, store, result):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=RANKS)
    try:
        found = work(rank)
        if rank == 0:
            torch.save(found, result)
    finally:
        dist.destroy_process_group()


def streams():
    return [rgb_stream(), map_stream(modality=(1, 4))]


def loss_of(network, given):
    return sum(answer.square().mean() for answer in network(given))


def one_process():
    network = trained(unity())
    loss = loss_of(network, streams())
    loss.backward()
    return loss.item(), {name: parameter.grad for name, parameter in network.named_parameters()}


def fsdp(rank):
    from torch.distributed.fsdp import fully_shard

    network = trained(unity())
    for block in network.blocks:
        fully_shard(block)
    fully_shard(network)
    # Each rank has one sample of the batch; FSDP averages over ranks.
    given = [
        stream._replace(
            latent=stream.latent[rank : rank + 1],
            t=stream.t[rank : rank + 1],
            text=stream.text[rank : rank + 1],
            modality=None if stream.modality is None else stream.modality[rank : rank + 1],
        )
        for stream in streams()
    ]
    loss = loss_of(network, given)
    loss.backward()
    total = loss.detach().clone()
    dist.all_reduce(total)
    gradients = {name: parameter.grad.full_tensor() for name, parameter in network.named_parameters()}
    return {"loss": total / RANKS, **gradients}


def ulysses(rank):
    network = trained(unity())
    enable(network)
    loss = loss_of(network, streams())
    loss.backward()
    gradients = {}
    for name, parameter in network.named_parameters():
        gradient = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
        dist.all_reduce(gradient)
        gradients[name] = gradient
    return {"loss": loss.detach(), **gradients}


def assert_same(found, loss, gradients):
    assert abs(float(found["loss"]) - loss) < 1e-5 * abs(loss)
    for name, gradient in gradients.items():
        # float32, sums in another order
        assert (found[name] - gradient).abs().max() <= 2e-4 * gradient.abs().max() + 2e-7, name


def test_fsdp2_on_two_ranks_computes_the_step_of_one(tmp_path):
    assert_same(spread(fsdp, tmp_path), *one_process())


def test_ulysses_on_two_ranks_computes_the_step_of_one(tmp_path):
    """Gradients are summed over ranks: each has those of its own tokens, also of what every rank computes (prompts)."""
    assert_same(spread(ulysses, tmp_path), *one_process())
