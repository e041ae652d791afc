"""Synthetic: rendered clips, from a folder that `openuni unibench render` made, or rendered on the spot.

The truth beside each clip stays where it is: only `--experts truth` makes maps of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from openuni.clip import Clip, make_clip_id
from openuni.errors import BadInput
from openuni.pipelines.sources.base import Source, clean_text
from openuni.pipelines.sources.files import content_digest
from openuni.table import IMPORTERS, RENDERED, load

DEFAULT_ROOT = Path("data", "rendered-small")
"""Rendered into, where there is no --root."""
IMPORTED = "imported from {} data: the terms of that data"
LICENCE = "rendered by openuni from scenes, bodies and textures of its own; nothing of third parties"


@dataclass(kw_only=True)
class Synthetic(Source):
    """Rendered clips with exact truth; without --root, eight small ones are rendered first (data/rendered-small).

    A clip's group is its scene family, its source video its scene (the two clips of a refraction pair have one). The id
    hashes name and content, so that a clip rendered otherwise is another clip.
    """

    name: ClassVar[str] = "synthetic"
    default_preset: ClassVar[str] = "none"

    licence: str = LICENCE

    @property
    def base(self) -> Path:
        """The rendered folder."""
        return DEFAULT_ROOT.absolute() if self.root is None else Path(self.root)

    def check(self) -> None:
        """Find a root that is no rendered folder. Without one there is nothing to check: `clips` renders.

        Raises:
            BadInput: it is none.
        """
        if self.root is not None:
            next(self._facts(), None)

    def _list(self) -> Iterator[Clip]:
        if self.root is None:
            load("renderer", RENDERED, "make")(self.base)
        for facts in self._facts():
            if "problem" in facts:
                self.skip(facts["problem"], facts["clip"])
                continue
            if facts["official"]:
                self.warn("frozen_unibench_scene_not_for_training", facts["clip"])
            try:
                yield self._clip(facts)
            except OSError:
                self.skip("unreadable_file", facts["path"])

    def _facts(self) -> Iterator[dict[str, Any]]:
        if not self.base.is_dir():
            raise BadInput(f"{self.base} not found. Make one with: openuni unibench render --out {self.base}")
        found: Iterator[dict[str, Any]] = load("renderer", RENDERED, "list")(self.base)
        return found

    def _clip(self, facts: dict[str, Any]) -> Clip:
        name, tier = str(facts["clip"]), str(facts["tier"])
        content = f"{content_digest(self.base / facts['path'])} {facts['truth_sha256']}"
        return Clip(
            clip_id=make_clip_id(self.name, name, content=content),
            source=self.name,
            source_key=name,
            source_video=str(facts["scene"]),
            path=facts["path"],
            caption=clean_text(str(facts["caption"])),
            licence=IMPORTED.format(tier) if tier in IMPORTERS and self.licence == LICENCE else self.licence,
            group=self.group or str(facts["family"]),
            published={"family": str(facts["family"]), "tier": tier, "subjects": str(facts["subjects"])},
        )
