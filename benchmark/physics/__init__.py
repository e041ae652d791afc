"""Physics probes: what can be measured about plausibility without a network, each validated on rendered truth."""
