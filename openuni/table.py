"""Name tables: one literal dict for each kind of part; values are "module:Object", loaded on use.

The tables stand here, below everything, so that a lower folder can use a higher one's part by name
without importing it. A new part is one file and one row.
"""

from importlib import import_module
from typing import Any

from openuni.errors import UnknownName

MODALITIES = {
    "depth": "openuni.codec.depth:DEPTH",
    "flow": "openuni.codec.flow:FLOW",
    "densepose": "openuni.codec.densepose:DENSEPOSE",
    "skeleton": "openuni.codec.skeleton:SKELETON",
    "segmentation": "openuni.codec.segmentation:SEGMENTATION",
}
"""The five modalities, in the order of their ids in the model."""

RGB = "openuni.codec.rgb:RGB"
"""The frames themselves: stored through the same door, but no modality."""

SOURCES = {
    "folder": "openuni.pipelines.sources.folder:Folder",
    "koala36m": "openuni.pipelines.sources.koala36m:Koala36M",
    "synthetic": "openuni.pipelines.sources.synthetic:Synthetic",
}

FILTERS = {
    "motion": "openuni.pipelines.filters.motion:MotionFilter",
    "luminance": "openuni.pipelines.filters.luminance:LuminanceFilter",
    "borders": "openuni.pipelines.filters.borders:BordersFilter",
    "frozen": "openuni.pipelines.filters.frozen:FrozenFilter",
    "camera": "openuni.pipelines.filters.camera:CameraFilter",
    "watermark": "openuni.pipelines.filters.watermark:WatermarkFilter",
    "people": "openuni.pipelines.filters.people:HogPeopleFilter",
    "people_expert": "openuni.pipelines.filters.people_expert:PeopleFilter",
    "text": "openuni.pipelines.filters.text:TextFilter",
    "aesthetic": "openuni.pipelines.filters.aesthetic:AestheticFilter",
    "duration": "openuni.pipelines.filters.duration:DurationFilter",
    "resolution": "openuni.pipelines.filters.resolution:ResolutionFilter",
    "container": "openuni.pipelines.filters.container:ContainerFilter",
    "published": "openuni.pipelines.filters.published:PublishedScores",
}
"""In the order they run: those that need frames first, since decoding also tells what the container says."""

CHECKS = {
    "flow_check": "openuni.pipelines.checks.flow:FlowCheck",
    "depth_check": "openuni.pipelines.checks.depth:DepthCheck",
    "segmentation_check": "openuni.pipelines.checks.segmentation:SegmentationCheck",
    "skeleton_check": "openuni.pipelines.checks.skeleton:SkeletonCheck",
    "skeleton_mask_check": "openuni.pipelines.checks.people:SkeletonMaskCheck",
    "skeleton_body_check": "openuni.pipelines.checks.people:SkeletonBodyCheck",
    "densepose_mask_check": "openuni.pipelines.checks.people:DenseposeMaskCheck",
}
"""What judges the experts' maps; each runs where the maps it reads are made."""

ANNOTATORS = {
    "flow-dis": "openuni.annotators.flow_dis:DisFlow",
    "depth-motion": "openuni.annotators.depth_motion:MotionDepth",
    "segmentation-motion": "openuni.annotators.segmentation_motion:MotionSegmentation",
    "depth-anything-v2-small": "openuni.annotators.depth_frames:DepthAnythingSmall",
    "depth-anything-v2-base": "openuni.annotators.depth_frames:DepthAnythingBase",
    "depth-anything-v2-large": "openuni.annotators.depth_frames:DepthAnything",
    "depth-pro": "openuni.annotators.depth_frames:DepthPro",
    "video-depth-anything-small": "openuni.annotators.depth_video:VideoDepthAnythingSmall",
    "video-depth-anything-large": "openuni.annotators.depth_video:VideoDepthAnything",
    "depth-anything-3-mono-large": "openuni.annotators.depth_video:DepthAnything3",
    "raft-large": "openuni.annotators.flow_raft:Raft",
    "raft-small": "openuni.annotators.flow_raft:RaftSmall",
    "sam": "openuni.annotators.segmentation_sam:Sam",
    "sam-hf": "openuni.annotators.segmentation_sam:SamTransformers",
    "grounded-sam2": "openuni.annotators.segmentation_text:GroundedSam2",
    "opens2v-masks": "openuni.annotators.segmentation_seeds:OpenS2VMasks",
    "sam3": "openuni.annotators.segmentation_text:Sam3",
    "dwpose": "openuni.annotators.skeleton_simcc:SimccSkeleton",
    "rtmpose-m": "openuni.annotators.skeleton_simcc:RtmPose",
    "rtmw-x": "openuni.annotators.skeleton_simcc:RtmwPose",
    "vitpose-base": "openuni.annotators.skeleton_vitpose:VitPose",
    "yolo11x-pose": "openuni.annotators.skeleton_yolo:YoloPose",
    "densepose-r101": "openuni.annotators.densepose_script:DensePoseScript",
    "densepose-r50": "openuni.annotators.densepose_script:DensePoseScriptSmall",
    "densepose-export": "openuni.annotators.densepose_script:DensePoseDict",
    "sapiens2-parts": "openuni.annotators.body_parts:SapiensParts",
    "truth-depth": "openuni.benchmark.synth.experts:TruthDepth",
    "truth-flow": "openuni.benchmark.synth.experts:TruthFlow",
    "truth-segmentation": "openuni.benchmark.synth.experts:TruthSegmentation",
    "truth-skeleton": "openuni.benchmark.synth.experts:TruthSkeleton",
    "truth-densepose": "openuni.benchmark.synth.experts:TruthDensePose",
}

DETECTORS = {
    "rtdetr-r50": "openuni.annotators.detect_rtdetr:RtDetr",
    "rtdetr-v2-r50": "openuni.annotators.detect_rtdetr:RtDetrV2",
    "yolox-l": "openuni.annotators.detect_yolox:Yolox",
    "yolo11x": "openuni.annotators.yolo:YoloDetector",
}
"""Detectors of people, for stages that look at one person at a time; each is also a row of EXPERTS."""

PRESETS = {
    "paper": "openuni.pipelines.presets:PAPER",
    "basic": "openuni.pipelines.presets:BASIC",
    "none": "openuni.pipelines.presets:NONE",
}
"""Rules for clips and for their maps."""

EXPERT_SETS: dict[str, tuple[str, ...]] = {
    "embedded": ("flow-dis", "depth-motion", "segmentation-motion"),
    "paper": ("depth-anything-v2-large", "raft-large", "sam", "dwpose", "densepose-r101"),
    "best": ("video-depth-anything-large", "raft-large", "sam", "rtmw-x", "densepose-r101"),
    "commercial": ("depth-anything-v2-small", "flow-dis", "sam", "dwpose"),
    "truth": ("truth-depth", "truth-flow", "truth-segmentation", "truth-skeleton", "truth-densepose"),
    "none": (),
}
"""Sets of experts that `--experts` knows besides single names. embedded: no weights, any CPU. paper, best,
commercial: with weights that the user brings, see openuni/annotators/experts.py; commercial takes only licences that
were read and allow it. truth: no estimates, the exact maps of rendered clips."""

RENDERED = {
    "list": "openuni.benchmark.synth.listing:list_rendered",
    "make": "openuni.benchmark.synth.listing:make_small_set",
    "frozen": "openuni.benchmark.synth.listing:is_frozen",
}
"""What the source `synthetic` and the training loader need of the renderer, which they may not import."""

BUILT = {
    "scored_index": "openuni.pipelines.scored_index:scored_index",
}
"""What curating a benchmark needs of a build's pipeline, which it may not import."""

METRICS = {
    "depth.abs_rel": "openuni.benchmark.metrics.depth:ABS_REL",
    "depth.delta1": "openuni.benchmark.metrics.depth:DELTA1",
    "depth.delta2": "openuni.benchmark.metrics.depth:DELTA2",
    "depth.delta3": "openuni.benchmark.metrics.depth:DELTA3",
    "depth.rmse": "openuni.benchmark.metrics.depth:RMSE",
    "depth.rmse_log": "openuni.benchmark.metrics.depth:RMSE_LOG",
    "depth.boundary_precision": "openuni.benchmark.metrics.depth_boundary:BOUNDARY_PRECISION",
    "depth.boundary_recall": "openuni.benchmark.metrics.depth_boundary:BOUNDARY_RECALL",
    "depth.boundary_f1": "openuni.benchmark.metrics.depth_boundary:BOUNDARY_F1",
    "depth.flicker": "openuni.benchmark.metrics.depth:FLICKER",
    "depth.correlation": "openuni.benchmark.metrics.video:CORRELATION",
    "flow.epe": "openuni.benchmark.metrics.flow:EPE",
    "flow.epe_scale_aligned": "openuni.benchmark.metrics.flow:EPE_SCALE_ALIGNED",
    "flow.fl": "openuni.benchmark.metrics.flow:FL",
    "flow.out1": "openuni.benchmark.metrics.flow:OUT1",
    "flow.out3": "openuni.benchmark.metrics.flow:OUT3",
    "flow.out5": "openuni.benchmark.metrics.flow:OUT5",
    "segmentation.miou": "openuni.benchmark.metrics.segmentation:MIOU",
    "segmentation.miou_by_frame": "openuni.benchmark.metrics.segmentation:MIOU_BY_FRAME",
    "segmentation.class_miou": "openuni.benchmark.metrics.segmentation:CLASS_MIOU",
    "segmentation.foreground_iou": "openuni.benchmark.metrics.segmentation:FOREGROUND_IOU",
    "segmentation.apart": "openuni.benchmark.metrics.segmentation:APART",
    "segmentation.ap": "openuni.benchmark.metrics.segmentation:AP",
    "segmentation.j": "openuni.benchmark.metrics.segmentation:J",
    "segmentation.f": "openuni.benchmark.metrics.segmentation:F",
    "skeleton.pck_box": "openuni.benchmark.metrics.skeleton:PCK_BOX",
    "skeleton.pck_box_seen": "openuni.benchmark.metrics.skeleton:PCK_BOX_SEEN",
    "skeleton.pck10_box": "openuni.benchmark.metrics.skeleton:PCK10_BOX",
    "skeleton.pck_torso": "openuni.benchmark.metrics.skeleton:PCK_TORSO",
    "skeleton.pck_torso_seen": "openuni.benchmark.metrics.skeleton:PCK_TORSO_SEEN",
    "skeleton.pck10_torso": "openuni.benchmark.metrics.skeleton:PCK10_TORSO",
    "skeleton.oks": "openuni.benchmark.metrics.skeleton:OKS",
    "skeleton.ap": "openuni.benchmark.metrics.skeleton:AP",
    "densepose.part_iou": "openuni.benchmark.metrics.densepose:PART_IOU",
    "densepose.part_accuracy": "openuni.benchmark.metrics.densepose:PART_ACCURACY",
    "densepose.person_iou": "openuni.benchmark.metrics.densepose:PERSON_IOU",
    "densepose.uv_error": "openuni.benchmark.metrics.densepose:UV_ERROR",
    "densepose.uv_near": "openuni.benchmark.metrics.densepose:UV_WITHIN",
    "densepose.gps": "openuni.benchmark.metrics.densepose_gps:GPS",
    "densepose.gps_ap": "openuni.benchmark.metrics.densepose_gps:GPS_AP",
    "plain.flicker": "openuni.benchmark.metrics.plain:FLICKER",
    "plain.frame_flicker": "openuni.benchmark.metrics.plain:FRAME_FLICKER",
    "plain.smoothness": "openuni.benchmark.metrics.plain:SMOOTHNESS",
    "plain.subject": "openuni.benchmark.metrics.plain:SUBJECT",
    "plain.background": "openuni.benchmark.metrics.plain:BACKGROUND",
    "plain.motion": "openuni.benchmark.metrics.plain:MOTION",
    "refract.found": "openuni.benchmark.metrics.refract:FOUND",
    "refract.break": "openuni.benchmark.metrics.refract:BREAK",
    "refract.break_error": "openuni.benchmark.metrics.refract:BREAK_ERROR",
    "video.warp_error": "openuni.benchmark.metrics.video:WARP_ERROR",
    "video.foreground_iou": "openuni.benchmark.metrics.video:FOREGROUND_IOU",
    "vbench.subject_consistency": "openuni.benchmark.metrics.vbench:SUBJECT",
    "vbench.background_consistency": "openuni.benchmark.metrics.vbench:BACKGROUND",
    "vbench.temporal_flickering": "openuni.benchmark.metrics.vbench:FLICKERING",
    "vbench.motion_smoothness": "openuni.benchmark.metrics.vbench:SMOOTHNESS",
    "vbench.dynamic_degree": "openuni.benchmark.metrics.vbench:DYNAMIC",
    "vbench.aesthetic_quality": "openuni.benchmark.metrics.vbench:AESTHETIC",
    "vbench.imaging_quality": "openuni.benchmark.metrics.vbench:IMAGING",
    "vbench.overall_consistency": "openuni.benchmark.metrics.vbench:OVERALL",
    "vbench.static": "openuni.benchmark.metrics.vbench:STATIC",
    "laws.acceleration_change": "openuni.benchmark.metrics.laws:ACCELERATION_CHANGE",
    "laws.momentum_sign": "openuni.benchmark.metrics.laws:MOMENTUM_SIGN",
    "laws.returns": "openuni.benchmark.metrics.laws:RETURNS",
}
"""Functions of arrays, by modality; plain, video, vbench: of generated RGB. docs/metrics.md explains them."""

TIERS = {
    "fast": "openuni.benchmark.synth.shade:FastTier",
    "photo": "openuni.benchmark.synth.photo:PhotoTier",
}
"""Ways to draw RGB for rendered scenes; truth is the same under all of them."""

IMPORTERS = {
    "ue": "openuni.benchmark.importers.ue:Unreal",
    "sintel": "openuni.benchmark.importers.sintel:Sintel",
    "spring": "openuni.benchmark.importers.spring:Spring",
    "tartanair": "openuni.benchmark.importers.tartanair:TartanAir",
    "kubric": "openuni.benchmark.importers.kubric:Kubric",
    "released": "openuni.benchmark.importers.released:Released",
}
"""Readers of others' renders and datasets, for `openuni unibench import`."""

CODECS = {
    "patch": "openuni.model.codec.patch:PatchCodec",
    "wan": "openuni.model.codec.wan:WanCodec",
}
"""Video codecs of the network: frames to latents and back."""

MODEL_PRESETS = {
    "tiny_cpu": "openuni.model.presets:tiny_cpu",
    "tiny_half": "openuni.model.presets:tiny_half",
    "tiny": "openuni.model.presets:tiny",
    "wan_1_3b": "openuni.model.presets:wan_1_3b",
    "wan22_5b": "openuni.model.presets:wan22_5b",
    "wan_14b": "openuni.model.presets:wan_14b",
    "paper_10b": "openuni.model.presets:paper_10b",
}
"""Functions that make a network's shape and all that is around it."""

RENDERINGS = {
    "own": "openuni.model.rendering:OWN",
    "paper": "openuni.model.rendering:PAPER",
    "tiny": "openuni.model.rendering:TINY",
    "vace": "openuni.model.rendering:VACE",
}
"""How colour-coded predictions were drawn: objects that read frames back as maps."""

TEXT_ENCODERS = {
    "hash": "openuni.model.text.hash:HashText",
    "umt5": "openuni.model.text.umt5:Umt5Text",
}
"""Prompts to the vectors that the network attends to."""

GENERATORS = {
    "openuni": "openuni.model.generator:OwnModel",
    "unityvideo": "openuni.model.generator:ReleasedModel",
    "diffusers": "openuni.model.diffusers_generator:DiffusersModel",
    "preds": "openuni.benchmark.preds.generator:Predictions",
    "constant": "openuni.benchmark.baselines:Constant",
    "copy": "openuni.benchmark.baselines:CopyRgb",
    "ceiling": "openuni.benchmark.baselines:Ceiling",
}
"""What `openuni bench --model SCHEME:REST` scores; openuni/generator.py has the door they stand behind."""

SUITES = {
    "unibench-est": "openuni.benchmark.suites.unibench_est:UniBenchEst",
    "plain": "openuni.benchmark.suites.plain:Plain",
    "physics-refract": "openuni.benchmark.suites.physics_refract:PhysicsRefract",
    "vbench": "openuni.benchmark.suites.vbench:VBench",
    "vbench-clips": "openuni.benchmark.suites.vbench:VBenchClips",
    "physics-laws": "openuni.benchmark.suites.physics_laws:PhysicsLaws",
    "unibench-gen": "openuni.benchmark.suites.unibench_gen:UniBenchGen",
}
"""What `openuni bench --suite` scores models on; openuni/benchmark/suite.py has the door they stand behind."""


def load(kind: str, table: dict[str, str], name: str) -> Any:
    """Import and return the object that stands under `name`.

    Args:
        kind: what the table holds, for the error message: "source", "filter".
        table: one of the tables of this file.
        name: a key of it.

    Raises:
        UnknownName: `name` is not in `table`.
    """
    if name not in table:
        raise UnknownName(kind, name, table)
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)
