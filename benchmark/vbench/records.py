"""One clip's values as rows of a bench: every dimension in one order, and why one has no value."""

from collections.abc import Collection, Mapping

from openuni.benchmark.judge import Scored
from openuni.benchmark.vbench.aggregate import NOT_ASKED, STATIC_METRIC
from openuni.benchmark.vbench.dimensions import COMPUTED, PREFIX, PROTOCOL
from openuni.benchmark.vbench.scorer import STATIC, Value


def rows(values: Mapping[str, Value], *, flags: Mapping[str, str], filtered: bool) -> list[Scored]:
    """Return the rows of one clip.

    Args:
        values: what Scorer.score gave.
        flags: dimension -> further flag.
        filtered: the suite has a static filter: its row is there for every clip.
    """
    names: Collection[str] = (*COMPUTED, STATIC) if filtered else COMPUTED
    found = []
    for name in names:
        metric = STATIC_METRIC if name == STATIC else PREFIX + name
        one = values.get(name, Value(None, 0, NOT_ASKED))
        more = (flags[name],) if name in flags and one.value is not None else ()
        reason = (one.reason,) if one.reason else ()
        found.append(Scored(metric, PROTOCOL, one.value, one.over, (*reason, *more)))
    return found
