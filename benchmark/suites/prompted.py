"""Suites of prompts: what they have in common. Their samples are texts; nothing is read from a folder of clips."""

from collections.abc import Iterator
from pathlib import Path

from openuni.benchmark.prompts import SAMPLES, read_prompts
from openuni.benchmark.suite import Item
from openuni.errors import BadInput
from openuni.generator import RGB, Ask, Size

DEFAULT_SIZE = Size(81, 480, 832, 16.0)
"""Asked of a model that works at any size: Wan's own clip."""


class Prompted:
    """RGB from text, each prompt a sample and a cluster."""

    pairs: tuple[tuple[str, str], ...] = (("text", RGB),)
    prompted = True
    samples = SAMPLES

    def refuses(self, data: Path | None) -> str:
        """See Suite.refuses."""
        try:
            read_prompts(data)
        except BadInput as error:
            return str(error)
        return ""

    def items(self, data: Path | None) -> Iterator[Item]:
        """See Suite.items."""
        for prompt in read_prompts(data):
            yield Item(
                sample=prompt.sample, cluster=prompt.sample, family=prompt.group, caption=prompt.text, path="",
                content="prompt", pairs=self.pairs,
            )  # fmt: skip

    def ask(self, folder: Path, task: str, modality: str) -> Ask:
        """See Suite.ask: a size that the caller replaces by the model's own."""
        return Ask(task=task, modality=modality, sample="", any_size=True, **DEFAULT_SIZE._asdict())
