"""Every row of METRICS is a metric of its name that says what its number means."""

import pytest

from openuni.benchmark.metrics.metric import Metric
from openuni.table import METRICS, MODALITIES, load


@pytest.mark.parametrize("name", METRICS)
def test_a_row_is_a_metric_of_its_name_with_unit_protocol_and_source(name):
    metric = load("metric", METRICS, name)
    assert isinstance(metric, Metric) and metric.name == name
    assert name.partition(".")[0] in (*MODALITIES, "plain", "refract", "laws", "vbench", "video")
    assert metric.unit and metric.protocol and metric.source and callable(metric.function)
