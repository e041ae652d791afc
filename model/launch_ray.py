"""Training on a Ray cluster, by Ray Train. A worker that dies is replaced, and all go on from the newest checkpoint.

The run folder must lie where every worker sees it: checkpoints are written by all ranks, and found there again.
"""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from openuni.engine.atomic import write_bytes
from openuni.engine.ray import connected
from openuni.errors import BadInput, OpenUniError, RunFailed
from openuni.model import train_state
from openuni.model.data.clips import read_clips
from openuni.model.launch import Echo, Settings, prepared, record, train_here
from openuni.model.train import loader_of
from openuni.run import RunFolder

FAILED = ".failed.json"
MAX_FAILURES = 5  # ours: each costs at most save_every steps; more in one run point to something else


def train_on_ray(settings: Settings, *, address: str, workers: tuple[int, int], echo: Echo) -> None:
    """Train on a cluster's workers, each one rank.

    Args:
        settings: what is trained; `out` and `data` on a file system that all workers share.
        address: of the cluster; "auto": RAY_ADDRESS, else Ray on this machine.
        workers: least and most ranks; each takes one GPU where the cluster has any. Where they differ Ray starts with
            what there is, and after a failure, or when nodes come, with what there is then.
        echo: told what happens.

    Raises:
        BadInput: what was asked for does not fit, before anything is started.
        RunFailed: workers died more than MAX_FAILURES times, or the run itself failed.
    """
    settings = replace(
        settings,
        out=str(Path(settings.out).absolute()),
        data=tuple(one if "://" in one else str(Path(one).absolute()) for one in settings.data),
    )
    ready = prepared(settings)
    read_clips(loader_of(ready.run, 0))
    least, most = workers
    for count in sorted({least, most}):
        if ready.run.train.batch_size % count:
            raise BadInput(f"batch_size={ready.run.train.batch_size} cannot be split evenly over {count} workers.")
    newest = train_state.newest(ready.run.out)
    if newest is not None and not settings.resume:
        raise BadInput(
            f"{ready.run.out} holds a run at step {newest.name}. Go on with --resume, or choose another --out."
        )
    with RunFolder(ready.run.out, "train") as folder:  # Ray writes into it before a worker does
        record(folder, ready)
    failed = ready.run.out / FAILED
    failed.unlink(missing_ok=True)
    with connected(address):
        import ray
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchConfig, TorchTrainer

        ranks: Any = most if least == most else workers  # Ray's annotation lacks the pair that it documents
        gpus = ray.cluster_resources().get("GPU", 0) >= least
        echo(f"{least if least == most else f'{least} to {most}'} workers on Ray, {'one GPU each' if gpus else 'CPU'}")
        trainer = TorchTrainer(
            _work,
            train_loop_config={"settings": settings},
            torch_config=TorchConfig(backend="nccl" if gpus else "gloo"),
            scaling_config=ScalingConfig(num_workers=ranks, use_gpu=gpus, resources_per_worker={"CPU": 1}),
            run_config=RunConfig(
                name=ready.run.out.name,
                storage_path=str(ready.run.out / "ray"),
                failure_config=FailureConfig(max_failures=MAX_FAILURES),
            ),
        )
        try:
            trainer.fit()
        except Exception as error:  # Ray's own classes; the cause is a text in them
            causes = [line.strip() for line in str(error).splitlines() if line.strip()]
            last = causes[-1][:300] if causes else type(error).__name__
            raise RunFailed(
                f"Training on Ray failed: {last}. What is saved is kept; run again with --resume."
            ) from error
    if failed.exists():
        said = json.loads(failed.read_text("utf-8"))
        failed.unlink()
        raise (RunFailed if said["exit_code"] == RunFailed.exit_code else BadInput)(said["message"])


def _work(config: dict[str, Any]) -> None:
    """One rank: Ray has initialised the process group. After a failure the newest checkpoint is gone on from."""
    from openuni.env import prepare

    prepare()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    settings: Settings = config["settings"]
    found = train_state.newest(Path(settings.out)) is not None
    try:
        train_here(replace(settings, resume=found, device="auto"), print)
    except OpenUniError as error:  # trying again would end the same way: tell the driver, and end in peace
        said = {"message": str(error), "exit_code": error.exit_code}
        write_bytes(Path(settings.out) / FAILED, json.dumps(said).encode())
