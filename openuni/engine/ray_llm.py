"""ray.data.llm: a local vLLM engine over the cluster's GPUs, rows in, rows out. vLLM is the user's to install."""

from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from typing import Any

from openuni.engine.ray import connected
from openuni.errors import BadInput

BATCH = 32  # Ray's own setting for engines: batches overlap, so larger ones only wait longer for their last row


def check_vllm() -> None:
    """Raise BadInput unless vLLM is installed."""
    if find_spec("vllm") is None:
        raise BadInput(
            "--caption-url vllm needs vLLM, which is not installed: pip install vllm into this environment (it brings "
            "its own torch), or run `vllm serve MODEL` elsewhere and give its address as --caption-url."
        )


def engine_config(model: str, *, engines: int, images: int) -> Any:
    """Return ray.data.llm's configuration of a vLLM engine for chat messages with pictures.

    Args:
        model: folder or Hub name.
        engines: how many run, one GPU each.
        images: most pictures in one question.
    """
    from ray.data.llm import PrepareMultimodalStageConfig, vLLMEngineProcessorConfig

    return vLLMEngineProcessorConfig(
        model_source=model,
        batch_size=BATCH,
        concurrency=engines,
        engine_kwargs={"limit_mm_per_prompt": {"image": images}},
        should_continue_on_error=True,
        log_engine_metrics=False,
        prepare_multimodal_stage=PrepareMultimodalStageConfig(enabled=True, chat_template_content_format="openai"),
    )


def run_llm(
    address: str,
    config: Callable[[int], Any],
    rows: Iterable[dict[str, Any]],
    prepare: Callable[[dict[str, Any]], dict[str, Any]],
    conclude: Callable[[dict[str, Any]], dict[str, Any]],
) -> Iterator[dict[str, Any]]:
    """Run rows through an engine; they come back in any order.

    Args:
        address: of the cluster, as RayEngine takes it.
        config: makes the configuration for a number of GPUs.
        rows: small dicts.
        prepare: row -> row with `messages` and `sampling_params`; runs on a worker.
        conclude: row with `generated_text`, ... -> row; runs on a worker.

    Raises:
        BadInput: vLLM is not installed, or the cluster has no GPU.
    """
    check_vllm()
    with connected(address):
        import ray
        import ray.data
        from ray.data.llm import build_processor

        gpus = int(ray.cluster_resources().get("GPU", 0))
        if not gpus:
            raise BadInput("--caption-url vllm needs a GPU, and the Ray cluster has none. Give an endpoint's address.")
        processor = build_processor(config(gpus), preprocess=prepare, postprocess=conclude)
        yield from processor(ray.data.from_items(list(rows))).iter_rows()
