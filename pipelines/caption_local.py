"""Captions by ray.data.llm: the caption stage's units, made by one run of a local engine before the annotate pass.

A vLLM engine takes minutes to start and whole GPUs, so it is no stage's set-up: all questions go through it at once,
and each unit whose answers are complete is committed as the stage's own ledger. The pass then finds it done.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from openuni.clip import Clip
from openuni.engine.job import Job
from openuni.engine.ledger import Commit, Row, write_ledger
from openuni.engine.monitor import Event
from openuni.engine.ray import RayEngine
from openuni.engine.ray_llm import check_vllm, engine_config, run_llm
from openuni.engine.stage import Drop
from openuni.errors import BadInput
from openuni.pipelines.captions import LOCAL, Captions, choose
from openuni.pipelines.chat import Answer

__all__ = ["caption_locally", "check_vllm"]

Runner = Callable[..., Iterator[dict[str, Any]]]


def caption_locally(job: Job, engine: Any, *, event: Event, run: Runner = run_llm) -> int:
    """Caption the clips of a job's caption stage with a local engine, where the stage is told so.

    Args:
        job: the annotate pass.
        engine: what runs the build; must be Ray's.
        event: writes a progress event.
        run: see ray_llm.run_llm.

    Returns:
        Units committed.

    Raises:
        BadInput: the build does not run on Ray.
    """
    stage = next((one for one in job.stages if isinstance(one, Captions) and one.url == LOCAL), None)
    if stage is None:
        return 0
    todo = [name for name in job.plan.names() if not job.committed(stage, name)]
    if not todo:
        return 0
    if not isinstance(engine, RayEngine):
        raise BadInput("--caption-url vllm runs on Ray: leave out --ray off, or give an endpoint's address.")
    units = {name: job.plan.read(name) for name in todo}
    found: dict[str, dict[str, Row]] = defaultdict(dict)
    rows = []
    for name, unit in units.items():
        for clip in unit.clips:
            if clip.caption.strip() and not stage.replace:
                found[name][clip.clip_id] = Row("absent", "source_caption")
            else:
                rows.append({"unit": name, "clip_id": clip.clip_id, "clip": json.dumps(clip.to_row())})
    made = 0

    def commit_if_whole(name: str) -> int:
        unit = units[name]
        if len(found[name]) < len(unit.clips):
            return 0
        answers = found.pop(name)
        told = [answers[clip.clip_id] for clip in unit.clips]
        mark = job.fingerprints[stage.name]
        write_ledger(job.out, stage, Commit(stage.name, mark, name, None, None, 0), unit.clips, told)
        event("captioned", unit=name, clips=len(unit.clips), ok=sum(row.status == "ok" for row in told))
        return 1

    for name in todo:
        made += commit_if_whole(name)
    if rows:
        asked = Asked(stage, job.open_view)
        config = Config(stage.model, stage.pictures)
        for row in run(engine.address, config, rows, asked.prepare, asked.conclude):
            found[row["unit"]][row["clip_id"]] = asked.row_of(row)
            made += commit_if_whole(row["unit"])
    return made


class Config:
    """Makes the engine's configuration. Pickles."""

    def __init__(self, model: str, images: int) -> None:
        self.model, self.images = model, images

    def __call__(self, gpus: int) -> Any:
        """For so many GPUs."""
        return engine_config(self.model, engines=gpus, images=self.images)


class Asked:
    """Turns clips into questions and answers into ledger rows. Pickles."""

    def __init__(self, stage: Captions, open_view: Callable[[Clip], Any]) -> None:
        self.stage, self.open_view = stage, open_view

    def prepare(self, row: dict[str, Any]) -> dict[str, Any]:
        """Add the question. A clip that cannot be read asks for one token, so that the run goes on."""
        kept = {"unit": row["unit"], "clip_id": row["clip_id"], "pictures": 0, "status": "ok", "reason": ""}
        try:
            view = self.open_view(Clip.from_row(json.loads(row["clip"])))
            try:
                frames = choose(view.frames.rgb, self.stage.pictures)
            finally:
                view.close()
            body = self.stage.request(frames)
            messages = body.pop("messages")
            return {**kept, "pictures": len(frames), "messages": messages, "sampling_params": body}
        except Drop as drop:
            kept |= {"status": "drop", "reason": str(drop)}
        except Exception as error:
            kept |= {"status": "error", "reason": f"{type(error).__name__}: {error}".splitlines()[0]}
        nothing = [{"role": "user", "content": [{"type": "text", "text": "."}]}]
        return {**kept, "messages": nothing, "sampling_params": {"max_tokens": 1}}

    def conclude(self, row: dict[str, Any]) -> dict[str, Any]:
        """Keep what the ledger needs."""
        kept = ("unit", "clip_id", "pictures", "status", "reason")
        said = ("generated_text", "num_input_tokens", "num_generated_tokens")
        return {name: row.get(name) for name in (*kept, *said)}

    def row_of(self, row: dict[str, Any]) -> Row:
        """Return the ledger's row for what `conclude` gave, or for a row that failed in the engine."""
        failed = str(row.get("__inference_error__") or "")
        if failed:
            return Row("error", failed.splitlines()[0][:300])
        if row["status"] != "ok":
            return Row(row["status"], row["reason"])
        text = " ".join(str(row["generated_text"] or "").split())
        if not text:
            return Row("error", "an empty answer")
        tokens = row["num_generated_tokens"]
        cut = tokens is not None and tokens >= self.stage.max_tokens
        answer = Answer(text, self.stage.model, row["num_input_tokens"], tokens, cut, 1)
        return Row("ok", scores=self.stage.scores(answer, row["pictures"]))
