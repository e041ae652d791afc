"""Which maps a build keeps, by default, after the checks: rules over the score columns of the check of each modality.

Figures are those of docs/checks.md: "right" is rendered truth and what the embedded annotators give on real clips that
look right; "wrong" is what was damaged on purpose. A score that cannot be measured says nothing against a map, so rules
let missing ones through where another rule makes sure that the map has something to measure.
"""

ACCEPTANCE: dict[str, tuple[str, ...]] = {
    "flow": (
        # Right 0.14 to 0.41; scaled by 1.5 at least 0.53, of another clip at least 0.74. Of gradients and not of grey
        # values, so that fades and lamps that flicker stay. Where under a fiftieth moves, the few points do not say.
        "missing(flow_check.gradient_ratio) or flow_check.moving_fraction < 0.02 or flow_check.gradient_ratio <= 0.45",
        # Right at most 0.67; zero or backwards 2. Between, DIS may be what is wrong: little moves, or slowly.
        "missing(flow_check.round_trip_ratio) or flow_check.round_trip_ratio <= 1",
        # Clips without a cut at most 0.26; clips spliced from two at least 0.46. Flow over a cut is garbage.
        "flow_check.cut <= 0.4",
        "flow_check.implausible_fraction <= 0.05",  # 4 pairs of 81 frames: a jolt, not a habit. Right: 0
        # Right at least 0.69 (a torch at night). Below, depth and masks that are carried along have little to follow.
        "flow_check.valid_fraction >= 0.4",
    ),
    "depth": (
        # Right at most 0.014 (rendered) and 0.05 (a walk at 5 fps); noise of a fifth of the standard deviation 0.21.
        "missing(depth_check.change) or depth_check.change <= 0.15",
        # Right at most 0.011; scaled at random by 1 % 0.008, by 5 % 0.04. A clip whose range drifts away has 0.05.
        "missing(depth_check.scale_flicker) or depth_check.scale_flicker <= 0.03",
        # Right at most 0.013; scaled at random by 1 % 0.03, by 5 % 0.1: the median lies some 2.5 spreads from 0.
        "missing(depth_check.level_flicker) or depth_check.level_flicker <= 0.08",
        # Below a tenth, nine pixels of ten share a tenth of the colours: outliers made the range. Right: at least 0.78.
        "depth_check.range_used >= 0.1",
        "depth_check.valid_fraction >= 0.3",  # right at least 0.6; with less than a third the map is mostly filled
    ),
    "segmentation": (
        "segmentation_check.num_ids >= 1",  # an empty map is no example of anything
        # Right at least 0.92; with 10 % holes 0.75 to 0.81, growing and shrinking by 6 px 0.5, shuffled ids 0.1.
        "missing(segmentation_check.iou) or segmentation_check.iou >= 0.7",
        # Right 0. All ids exchanged once in 81 frames is 0.0125; a single switch is borne in any clip.
        "missing(segmentation_check.id_switches) or segmentation_check.id_switches <= 1"
        " or segmentation_check.switch_rate <= 0.01",
        "missing(segmentation_check.fragments) or segmentation_check.fragments <= 5",  # right at most 1.2
    ),
    # Right and wrong of people: rendered crossings of two, true and blurred as by an estimator (perf/people_checks.py).
    "skeleton": (
        "skeleton_check.num_people >= 1",
        "skeleton_check.presence >= 0.5",  # ours: a clip that shows somebody for less than half of it is about others
        "missing(skeleton_check.confidence) or skeleton_check.confidence >= 0.3",  # below, nothing would be drawn
        "missing(skeleton_check.doubles) or skeleton_check.doubles <= 0.1",  # right 0; on the other person 1
        "missing(skeleton_check.shake) or skeleton_check.shake <= 0.08",  # right at most 0.034; shaken by 8 % 0.11
        # Right 1; ids exchanged half-way at most 0.67. Masks must be of whole people, not of their clothes.
        "missing(skeleton_mask_check.id_agreement) or skeleton_mask_check.id_agreement >= 0.7",
        # Right at least 0.73; moved by 15 % of the height at most 0.57.
        "missing(skeleton_body_check.inside) or skeleton_body_check.inside >= 0.6",
        # Right at least 0.88; left and right exchanged at most 0.3.
        "missing(skeleton_body_check.part_agreement) or skeleton_body_check.part_agreement >= 0.6",
    ),
    "densepose": (
        "densepose_mask_check.presence >= 0.5",  # as of skeletons
        # Right at least 0.39 (people 55 px high, borders off by 2 px); bodies moved 0.14 to 0.47.
        "missing(densepose_mask_check.inside) or densepose_mask_check.inside >= 0.3",
    ),
}
"""Modality -> rules, all of which must be true."""
