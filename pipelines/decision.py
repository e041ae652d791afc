"""Decision: the rules in force for a build: which clips stay, and which of their maps.

It is kept in the build's folder. `openuni funnel` changes it without the sources; the next `openuni build` goes by it
unless it is given rules of its own.
"""

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from openuni.engine.atomic import write_bytes
from openuni.engine.record import PassRecord
from openuni.errors import BadInput, UnknownName
from openuni.pipelines.presets import preset as preset_of
from openuni.rule import Rule

DECISION = "decision.json"
_ACCEPT = re.compile(r"\s*([a-z0-9_]+)\s*:(.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A preset and what was added to it."""

    preset: str
    """Name in PRESETS."""
    rules: tuple[str, ...] = ()
    """Rules besides the preset's."""
    accept: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Modality -> acceptance rules besides the preset's."""

    def clip_rules(self) -> tuple[Rule, ...]:
        """Return all rules for clips: the preset's, then the others; a rule given twice counts once.

        Raises:
            BadInput: a text is no rule, or there is no such preset.
        """
        texts = (*preset_of(self.preset).rules, *self.rules)
        return tuple(Rule(text) for text in dict.fromkeys(text.strip() for text in texts))

    def map_rules(self, record: PassRecord) -> dict[str, tuple[Rule, ...]]:
        """Return modality -> acceptance rules.

        Args:
            record: the annotate pass. Rules of the preset over maps and scores that it does not have are left out.

        Raises:
            BadInput: a rule of the user's names a modality that the pass does not make, or is no rule.
            UnknownName: it names a column that the pass does not have.
        """
        known = record.column_names()
        made = [stage.modality for stage in record.stages if stage.modality not in (None, "rgb")]
        found: dict[str, list[str]] = {}
        for modality, texts in preset_of(self.preset).accept.items():
            fitting = [text for text in texts if modality in made and set(Rule(text).columns) <= set(known)]
            found.setdefault(modality, []).extend(fitting)
        for modality, texts in self.accept.items():
            if modality not in made:
                raise UnknownName("modality in --accept", modality, [name for name in made if name])
            check_columns([Rule(text) for text in texts], known)
            found.setdefault(modality, []).extend(texts)
        return {name: tuple(Rule(text) for text in dict.fromkeys(texts)) for name, texts in found.items() if texts}

    def write(self, out: Path, by: str) -> None:
        """Keep the decision in the build's folder, if it is another one than that which is there."""
        if read_decision(out) == self:
            return
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        accept = {modality: list(texts) for modality, texts in self.accept.items()}
        content = {"preset": self.preset, "rules": list(self.rules), "accept": accept, "by": by, "time": when}
        write_bytes(out / DECISION, json.dumps(content, indent=2).encode() + b"\n")


def read_decision(out: Path) -> Decision | None:
    """Return the decision kept in a build's folder; None if there is none.

    Raises:
        BadInput: the file there is something else.
    """
    try:
        content = json.loads((out / DECISION).read_text())
        accept = {str(modality): tuple(map(str, texts)) for modality, texts in content["accept"].items()}
        return Decision(preset=content["preset"], rules=tuple(map(str, content["rules"])), accept=accept)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            f"{out / DECISION} cannot be read ({error}). Delete it, and give --preset and --rule."
        ) from error


def decide(
    before: Decision | None,
    *,
    default_preset: str,
    preset: str | None,
    rules: Sequence[str],
    accept: Mapping[str, tuple[str, ...]],
) -> Decision:
    """Return the decision that a command line asks for.

    Without any rule on the command line the one before stands. Otherwise the command line says it all, but for the
    preset, which stays as it was unless another is named.

    Args:
        before: what is kept in the folder.
        default_preset: for the first decision.
        preset: --preset, None if not given.
        rules: --rule.
        accept: --accept, see `parse_accept`.
    """
    if before is not None and preset is None and not rules and not accept:
        return before
    name = preset or (before.preset if before else default_preset)
    return Decision(preset=name, rules=tuple(rules), accept=dict(accept))


def parse_accept(texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Take "modality: rule" texts apart.

    Raises:
        BadInput: a text has another form, or its rule cannot be read.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        match = _ACCEPT.fullmatch(text)
        if not match:
            raise BadInput(f"--accept {text!r} is not understood; write 'flow: flow_check.coverage > 0.5'.")
        rule = Rule(match[2]).text
        found[match[1]] = (*found.get(match[1], ()), rule)
    return found


def check_columns(rules: Iterable[Rule], known: Sequence[str]) -> None:
    """Find a misspelt column before anything is decoded. Raises UnknownName."""
    for rule in rules:
        for column in rule.columns:
            if column not in known:
                raise UnknownName("score column", column, known)
