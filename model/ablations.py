"""Ablations of the paper (Tables 2, 3 and 4, App. A and B), as settings.

The tables' Baseline is RGB alone. `openuni train --ablation NAME` is the same as giving these texts to --set.
"""

ABLATIONS: dict[str, tuple[str, ...]] = {
    "rgb_only": ("num_maps=0",),
    "only_flow": ("loader.modalities=('flow',)",),
    "only_depth": ("loader.modalities=('depth',)",),
    "three_modalities": ("loader.modalities=('depth', 'flow', 'densepose')",),
    "only_control": ("tasks.tasks={'cond': 1.0}",),
    "only_estimation": ("tasks.tasks={'est': 1.0}",),
    "only_joint": ("tasks.tasks={'joint': 1.0}",),
    "no_in_context": ("network.in_context=false",),
    "no_switcher": ("network.switcher=false",),
    "shared_head": ("network.head=shared",),
    "shared_time": ("network.time=shared", "tasks.joint_time=tied"),
    "no_curriculum": ("curriculum=false",),
    "staged_tasks": ("staged_tasks=true",),
}
"""Name -> texts of --set. five_modalities is every preset as it is."""
