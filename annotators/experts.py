"""Experts whose weights the user brings: files, licence and where each comes from. One literal table, facts only.

What `openuni weights` prints, what annotators/weights.py looks for, and what `--experts commercial` goes by. The
stages themselves are rows of ANNOTATORS and FILTERS in openuni/table.py under the same names.
"""

from dataclasses import dataclass

HUB = "https://huggingface.co"


@dataclass(frozen=True, kw_only=True)
class File:
    """One file that an expert needs."""

    name: str
    """As it is called where it is published; its place inside the expert's folder."""
    also: tuple[str, ...] = ()
    """Other names that do as well: another checkpoint of the same network, or another format."""
    size_mb: float | None = None
    """Published or computed from the published number of parameters, 10^6 bytes; None: not known."""
    sha256: str = ""
    """Published hash, or its published first digits; empty: none is published."""
    url: str = ""
    """Where it comes from, if that is not a file of `Expert.hub`."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that will do, the usual one first."""
        return (self.name, *self.also)


@dataclass(frozen=True, kw_only=True)
class Expert:
    """What is known of one expert."""

    modality: str
    """What it makes: a modality's name, "filter", "vbench" for the bench's dimensions, "shared" for what others use."""
    files: tuple[File, ...]
    licence: str
    """Of the weights."""
    read_at: str = ""
    """Where that licence was read; empty: unverified, and therefore not `commercial`."""
    allows_commercial: bool = False
    """Whether the licence allows commercial use. Counts only together with `read_at`."""
    hub: str = ""
    """Repository on the Hugging Face Hub, ORG/NAME."""
    folder: str = ""
    """Folder of the files under --weights; empty: the hub repository's name, and without one the folder itself."""
    instead: File | None = None
    """One file that does in place of all of `files`: another publisher's of the same weights."""
    vbench: str = ""
    """Folder of the files, or of `instead`, in VBench's cache; empty: VBench has no use for it."""
    uses: tuple[str, ...] = ()
    """Other rows of EXPERTS whose files it needs too: a network that several experts share."""
    package: str = ""
    """What else must be installed, as text for the user; empty: nothing but openuni."""
    imports: tuple[str, ...] = ()
    """Modules that the package brings."""
    commands: tuple[str, ...] = ()
    """Shell commands that fetch the files, if the hub's does not do; {dir} is the --weights folder."""

    @property
    def commercial(self) -> bool:
        """Whether `--experts commercial` may use it: the licence allows it and was read."""
        return self.allows_commercial and bool(self.read_at)

    @property
    def terms(self) -> str:
        """The licence with where it was read, as it is written to every sample."""
        return f"{self.licence} ({f'read at {self.read_at}' if self.read_at else 'unverified'})"

    @property
    def place(self) -> str:
        """The expert's folder under --weights; "." for the folder itself."""
        return self.folder or self.hub.partition("/")[2] or "."

    def command(self, weights: str = "DIR") -> str:
        """Return the shell command that gets the files into the folder `weights`."""
        if self.commands:
            return " && ".join(self.commands).format(dir=weights)
        if self.hub:
            names = " ".join(file.name for file in self.files)
            return f"hf download {self.hub} {names} --local-dir {weights}/{self.place}"
        into = weights if self.place == "." else f"{weights}/{self.place}"
        return " && ".join(f"curl -L --create-dirs -o {into}/{file.name} {file.url}" for file in self.files)


def transformers_files(size_mb: float | None, processor: str = "preprocessor_config.json") -> tuple[File, ...]:
    """Return the files of a transformers model for pictures, as save_pretrained writes them."""
    model = File(name="model.safetensors", also=("pytorch_model.bin",), size_mb=size_mb)
    return (File(name="config.json"), File(name=processor), model)


def _processor_files(size_mb: float | None) -> tuple[File, ...]:
    """Return the files of a transformers model with a processor, whose file has had two names."""
    processor = File(name="processor_config.json", also=("preprocessor_config.json",))
    return (File(name="config.json"), processor, File(name="model.safetensors", size_mb=size_mb))


def _whole_repository(hub: str) -> tuple[str, ...]:
    """The command for repositories whose small files have had several names: all of them and the weights."""
    into = "{dir}/" + hub.partition("/")[2]
    return (f"hf download {hub} --include '*.json' --include '*.txt' --include model.safetensors --local-dir {into}",)


_DA2 = "https://github.com/DepthAnything/Depth-Anything-V2/blob/main/README.md"
_VDA = "https://github.com/DepthAnything/Video-Depth-Anything/blob/main/README.md"
_DA3 = "https://github.com/ByteDance-Seed/Depth-Anything-3/blob/main/README.md"
_VDA_PACKAGE = "a checkout of https://github.com/DepthAnything/Video-Depth-Anything on PYTHONPATH"
_DA3_PACKAGE = "a checkout of https://github.com/ByteDance-Seed/Depth-Anything-3, installed with pip install -e"
_SAM = "https://github.com/facebookresearch/segment-anything/blob/main/README.md"
_DINO = "https://github.com/IDEA-Research/GroundingDINO/blob/main/LICENSE"
_SAM_URL = "https://dl.fbaipublicfiles.com/segment_anything"
_SAM2 = "https://github.com/facebookresearch/sam2/blob/main/README.md"
_SAM_PACKAGE = "segment-anything (pip install 'openuni[experts]')"
_ONNX = "onnxruntime (pip install 'onnxruntime>=1.20,<2')"
_YOLO = "ultralytics, AGPL-3.0 (pip install 'openuni[experts]')"
_YOLO_URL = "https://github.com/ultralytics/assets/releases/download/v8.3.0"
_YOLO_LICENCE = "https://github.com/ultralytics/ultralytics/blob/main/LICENSE"
_DENSEPOSE = "https://github.com/dajes/DensePose-TorchScript/blob/main/README.md"
_DENSEPOSE_TERMS = "CC BY-SA 3.0 (networks of detectron2's DensePose; their training data is for non-commercial use)"
_MMPOSE_URL = "https://download.openmmlab.com/mmpose/v1/projects"
_TORCHVISION = "torchvision (pip install 'openuni[experts]')"
_TORCHVISION_URL = "https://download.pytorch.org/models"

_CLIP_URL = "https://openaipublic.azureedge.net/clip/models"
_CLIP_B32, _CLIP_L14 = (
    "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
    "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",
)
_CLIP_LICENCE = "https://github.com/openai/CLIP/blob/main/LICENSE"


def _from_zip(folder: str, url: str) -> tuple[str, ...]:
    """Return the commands that fetch a zip of MMDeploy and take its network out of it."""
    return (
        f"mkdir -p {{dir}}/{folder}",
        f"curl -L -o {{dir}}/{folder}/all.zip {url}",
        f"unzip -jo {{dir}}/{folder}/all.zip '*end2end.onnx' -d {{dir}}/{folder}",
    )


# Sizes of depth models: 4 bytes for each parameter, whose numbers stand in the READMEs above.
EXPERTS: dict[str, Expert] = {
    "depth-anything-v2-small": Expert(
        modality="depth",
        files=transformers_files(99.2),
        licence="Apache-2.0",
        read_at=_DA2,
        allows_commercial=True,
        hub="depth-anything/Depth-Anything-V2-Small-hf",
    ),
    "depth-anything-v2-base": Expert(
        modality="depth",
        files=transformers_files(390.0),
        licence="CC-BY-NC-4.0",
        read_at=_DA2,
        hub="depth-anything/Depth-Anything-V2-Base-hf",
    ),
    "depth-anything-v2-large": Expert(
        modality="depth",
        files=transformers_files(1341.2),
        licence="CC-BY-NC-4.0",
        read_at=_DA2,
        hub="depth-anything/Depth-Anything-V2-Large-hf",
    ),
    "depth-pro": Expert(
        modality="depth",
        files=transformers_files(None),
        licence="Apple's own (LICENSE in github.com/apple/ml-depth-pro)",
        hub="apple/DepthPro-hf",
    ),
    "video-depth-anything-small": Expert(
        modality="depth",
        files=(File(name="video_depth_anything_vits.pth", size_mb=113.6),),
        licence="Apache-2.0",
        read_at=_VDA,
        allows_commercial=True,
        hub="depth-anything/Video-Depth-Anything-Small",
        package=_VDA_PACKAGE,
        imports=("video_depth_anything",),
    ),
    "video-depth-anything-large": Expert(
        modality="depth",
        files=(File(name="video_depth_anything_vitl.pth", size_mb=1527.2),),
        licence="CC-BY-NC-4.0",
        read_at=_VDA,
        hub="depth-anything/Video-Depth-Anything-Large",
        package=_VDA_PACKAGE,
        imports=("video_depth_anything",),
    ),
    "depth-anything-3-mono-large": Expert(
        modality="depth",
        files=(File(name="config.json"), File(name="model.safetensors", size_mb=1400.0)),
        licence="Apache-2.0",
        read_at=_DA3,
        allows_commercial=True,
        hub="depth-anything/DA3MONO-LARGE",
        package=_DA3_PACKAGE,
        imports=("depth_anything_3",),
    ),
    "raft-large": Expert(
        modality="flow",
        # The part of the name behind the last "-" is how torch's hub checks a file: first digits of its SHA-256.
        files=(
            File(
                name="raft_large_C_T_SKHT_V2-ff5fadd5.pth",
                also=("raft_large_C_T_V2-1bb1363a.pth", "raft-things.pth", "raft-sintel.pth"),
                size_mb=21.1,
                sha256="ff5fadd5",
                url=f"{_TORCHVISION_URL}/raft_large_C_T_SKHT_V2-ff5fadd5.pth",
            ),
        ),
        licence="BSD-3-Clause code; torchvision states no licence for the weights",
        folder="raft",
        package=_TORCHVISION,
        imports=("torchvision",),
    ),
    "raft-small": Expert(
        modality="flow",
        files=(
            File(
                name="raft_small_C_T_V2-01064c6d.pth",
                also=("raft_small_C_T_V1-ad48884c.pth", "raft-small.pth"),
                size_mb=4.0,
                sha256="01064c6d",
                url=f"{_TORCHVISION_URL}/raft_small_C_T_V2-01064c6d.pth",
            ),
        ),
        licence="BSD-3-Clause code; torchvision states no licence for the weights",
        folder="raft",
        package=_TORCHVISION,
        imports=("torchvision",),
    ),
    "sam": Expert(
        modality="segmentation",
        # Hash and size as those who mirror the file on the Hub give them (git-lfs pointers of sam_vit_h_4b8939.pth).
        files=(
            File(
                name="sam_vit_h_4b8939.pth",
                also=("sam_vit_l_0b3195.pth", "sam_vit_b_01ec64.pth"),
                size_mb=2564.6,
                sha256="a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
                url=f"{_SAM_URL}/sam_vit_h_4b8939.pth",
            ),
        ),
        licence="Apache-2.0",
        read_at=_SAM,
        allows_commercial=True,
        folder="sam",
        uses=("sam2.1-large",),
        package=_SAM_PACKAGE,
        imports=("segment_anything", "torchvision"),
    ),
    "sam-hf": Expert(
        modality="segmentation",
        files=transformers_files(2564.5),
        licence="Apache-2.0",
        read_at=_SAM,
        allows_commercial=True,
        hub="facebook/sam-vit-huge",
        uses=("sam2.1-large",),
    ),
    # Any size of SAM 2 does in its place: the network is built as config.json says.
    "sam2.1-large": Expert(
        modality="shared",
        files=_processor_files(897.6),
        licence="Apache-2.0",
        read_at=_SAM2,
        allows_commercial=True,
        hub="facebook/sam2.1-hiera-large",
        commands=_whole_repository("facebook/sam2.1-hiera-large"),
    ),
    "grounded-sam2": Expert(
        modality="segmentation",
        files=(*_processor_files(689.4), File(name="tokenizer.json"), File(name="tokenizer_config.json")),
        licence="Apache-2.0",
        read_at=_DINO,
        allows_commercial=True,
        hub="IDEA-Research/grounding-dino-tiny",
        uses=("sam2.1-large",),
        commands=_whole_repository("IDEA-Research/grounding-dino-tiny"),
    ),
    "opens2v-masks": Expert(
        modality="segmentation",
        files=_processor_files(897.6),
        licence="Apache-2.0",
        read_at=_SAM2,
        allows_commercial=True,
        hub="facebook/sam2.1-hiera-large",
        commands=_whole_repository("facebook/sam2.1-hiera-large"),
    ),
    # Behind a form on the Hub: `hf auth login` first.
    "sam3": Expert(
        modality="segmentation",
        files=(*_processor_files(None), File(name="tokenizer.json"), File(name="tokenizer_config.json")),
        licence="Meta's SAM License",
        hub="facebook/sam3",
        commands=_whole_repository("facebook/sam3"),
    ),
    "rtdetr-r50": Expert(
        modality="shared",
        files=transformers_files(172.0),
        licence="Apache-2.0",
        read_at="https://huggingface.co/PekingU/rtdetr_r50vd_coco_o365/tree/main",
        allows_commercial=True,
        hub="PekingU/rtdetr_r50vd_coco_o365",
    ),
    "rtdetr-v2-r50": Expert(
        modality="shared",
        files=transformers_files(None),
        licence="Apache-2.0",
        hub="PekingU/rtdetr_v2_r50vd",
    ),
    "yolox-l": Expert(
        modality="shared",
        files=(File(name="yolox_l.onnx", size_mb=217.0),),
        licence="Apache-2.0",
        read_at="https://huggingface.co/yzd-v/DWPose/commits/main/yolox_l.onnx",
        allows_commercial=True,
        hub="yzd-v/DWPose",
        package=_ONNX,
        imports=("onnxruntime",),
    ),
    "yolo11x": Expert(
        modality="shared",
        files=(
            File(
                name="yolo11x.pt",
                also=("yolo11l.pt", "yolo11m.pt", "yolo11s.pt", "yolo11n.pt"),
                url=f"{_YOLO_URL}/yolo11x.pt",
            ),
        ),
        licence="AGPL-3.0",
        read_at=_YOLO_LICENCE,
        folder="yolo",
        package=_YOLO,
        imports=("ultralytics",),
    ),
    "dwpose": Expert(
        modality="skeleton",
        files=(File(name="dw-ll_ucoco_384.onnx", size_mb=134.0),),
        licence="Apache-2.0",
        read_at="https://huggingface.co/yzd-v/DWPose/commits/main/dw-ll_ucoco_384.onnx",
        allows_commercial=True,
        hub="yzd-v/DWPose",
        uses=("yolox-l",),
        package=_ONNX,
        imports=("onnxruntime",),
    ),
    "rtmpose-m": Expert(
        modality="skeleton",
        files=(File(name="end2end.onnx"),),
        licence="Apache-2.0 (MMPose's code; the zip states none)",
        folder="rtmpose-m",
        uses=("yolox-l",),
        package=_ONNX,
        imports=("onnxruntime",),
        commands=_from_zip(
            "rtmpose-m",
            f"{_MMPOSE_URL}/rtmposev1/onnx_sdk/rtmpose-m_simcc-body7_pt-body7_420e-256x192-e48f03d0_20230504.zip",
        ),
    ),
    "rtmw-x": Expert(
        modality="skeleton",
        files=(File(name="end2end.onnx"),),
        licence="Apache-2.0 (MMPose's code; the zip states none)",
        folder="rtmw-x",
        uses=("yolox-l",),
        package=_ONNX,
        imports=("onnxruntime",),
        commands=_from_zip(
            "rtmw-x",
            f"{_MMPOSE_URL}/rtmw/onnx_sdk/rtmw-x_simcc-cocktail13_pt-ucoco_270e-384x288-0949e3a9_20230925.zip",
        ),
    ),
    "vitpose-base": Expert(
        modality="skeleton",
        files=transformers_files(344.0),
        licence="Apache-2.0",
        read_at="https://huggingface.co/usyd-community/vitpose-base-simple/tree/main",
        allows_commercial=True,
        hub="usyd-community/vitpose-base-simple",
        uses=("rtdetr-r50",),
    ),
    "yolo11x-pose": Expert(
        modality="skeleton",
        files=(
            File(
                name="yolo11x-pose.pt",
                also=("yolo11l-pose.pt", "yolo11m-pose.pt", "yolo11s-pose.pt", "yolo11n-pose.pt"),
                url=f"{_YOLO_URL}/yolo11x-pose.pt",
            ),
        ),
        licence="AGPL-3.0",
        read_at=_YOLO_LICENCE,
        folder="yolo",
        package=_YOLO,
        imports=("ultralytics",),
    ),
    "densepose-r101": Expert(
        modality="densepose",
        files=(File(name="densepose_r101_fpn_dl.torchscript", size_mb=342.0),),
        licence=_DENSEPOSE_TERMS,
        read_at=_DENSEPOSE,
        hub="LayerNorm/DensePose-TorchScript-with-hint-image",
        package=_TORCHVISION,
        imports=("torchvision",),
    ),
    "densepose-r50": Expert(
        modality="densepose",
        files=(File(name="densepose_r50_fpn_dl.torchscript", size_mb=265.0),),
        licence=_DENSEPOSE_TERMS,
        read_at=_DENSEPOSE,
        hub="LayerNorm/DensePose-TorchScript-with-hint-image",
        package=_TORCHVISION,
        imports=("torchvision",),
    ),
    "densepose-export": Expert(
        modality="densepose",
        files=(File(name="densepose.pt"),),
        licence=_DENSEPOSE_TERMS,
        read_at=_DENSEPOSE,
        folder="densepose",
        package=_TORCHVISION,
        imports=("torchvision",),
        commands=(
            "mkdir -p {dir}/densepose",
            "echo 'Take a file from https://github.com/dajes/DensePose-TorchScript/releases, "
            "as {dir}/densepose/densepose.pt'",
        ),
    ),
    "sapiens2-parts": Expert(
        modality="densepose",
        files=transformers_files(None),
        licence="Meta's Sapiens2 licence",
        folder="sapiens2-parts",
        commands=(
            "echo 'Put a Sapiens2ForSemanticSegmentation with its image processor, as the Hub has them under "
            "facebook/, into {dir}/sapiens2-parts'",
        ),
    ),
    "clip-l14": Expert(
        modality="shared",
        files=transformers_files(1710.5),
        licence="MIT",
        read_at=_CLIP_LICENCE,
        allows_commercial=True,
        hub="openai/clip-vit-large-patch14",
        instead=File(name="ViT-L-14.pt", size_mb=933.0, sha256=_CLIP_L14, url=f"{_CLIP_URL}/{_CLIP_L14}/ViT-L-14.pt"),
        vbench="clip_model",
    ),
    "clip-b32": Expert(
        modality="shared",
        files=transformers_files(605.2),
        licence="MIT",
        read_at=_CLIP_LICENCE,
        allows_commercial=True,
        hub="openai/clip-vit-base-patch32",
        instead=File(name="ViT-B-32.pt", size_mb=354.0, sha256=_CLIP_B32, url=f"{_CLIP_URL}/{_CLIP_B32}/ViT-B-32.pt"),
        vbench="clip_model",
    ),
    "aesthetic": Expert(
        modality="filter",
        files=(
            File(
                name="sa_0_4_vit_l_14_linear.pth",
                size_mb=0.004,
                url="https://github.com/LAION-AI/aesthetic-predictor/raw/main/sa_0_4_vit_l_14_linear.pth",
            ),
        ),
        licence="MIT",
        read_at="https://github.com/LAION-AI/aesthetic-predictor/blob/main/LICENSE",
        allows_commercial=True,
        folder="aesthetic",
        vbench="aesthetic_model/emb_reader",
        uses=("clip-l14",),
    ),
    "dino-vitb16": Expert(
        modality="shared",
        files=(
            File(
                name="dino_vitbase16_pretrain.pth",
                size_mb=343.2,
                url="https://dl.fbaipublicfiles.com/dino/dino_vitbase16_pretrain/dino_vitbase16_pretrain.pth",
            ),
        ),
        licence="Apache-2.0",
        read_at="https://github.com/facebookresearch/dino/blob/main/LICENSE",
        allows_commercial=True,
        folder="dino",
        vbench="dino_model",
    ),
    "raft-things": Expert(
        modality="vbench",
        files=(
            File(
                name="raft-things.pth",
                also=("raft_large_C_T_V1-22a6c225.pth",),  # torchvision's copy of the same numbers
                size_mb=21.1,
                url="https://dl.dropboxusercontent.com/s/4j4z58wuv8o0mfz/models.zip",
            ),
        ),
        licence="BSD-3-Clause code; princeton-vl/RAFT states no licence for the weights",
        folder="raft",
        vbench="raft_model/models",
        package=_TORCHVISION,
        imports=("torchvision",),
        commands=(
            f"curl -L --create-dirs -o {{dir}}/raft/raft_large_C_T_V1-22a6c225.pth "
            f"{_TORCHVISION_URL}/raft_large_C_T_V1-22a6c225.pth",
        ),
    ),
    "musiq-spaq": Expert(
        modality="vbench",
        files=(
            File(
                name="musiq_spaq_ckpt-358bb6af.pth",
                size_mb=108.6,
                sha256="358bb6af",
                url="https://github.com/chaofengc/IQA-PyTorch/releases/download/v0.1-weights/musiq_spaq_ckpt-358bb6af.pth",
            ),
        ),
        licence="Google's weights, converted by pyiqa, which states no licence of its own for them",
        folder="musiq",
        vbench="pyiqa_model",
    ),
    "amt-s": Expert(
        modality="vbench",
        files=(
            File(name="amt-s.pth", size_mb=12.0, url="https://huggingface.co/lalala125/AMT/resolve/main/amt-s.pth"),
        ),
        licence="CC-BY-NC-4.0",
        read_at="https://github.com/Vchitect/VBench/blob/master/vbench/third_party/amt/LICENSE",
        folder="amt",
        vbench="amt_model",
    ),
    "viclip-l14": Expert(
        modality="vbench",
        files=(
            File(
                name="ViClip-InternVid-10M-FLT.pth",
                size_mb=1710.0,
                url=f"{HUB}/OpenGVLab/VBench_Used_Models/resolve/main/ViClip-InternVid-10M-FLT.pth",
            ),
            File(
                name="bpe_simple_vocab_16e6.txt.gz",
                size_mb=1.4,
                url="https://raw.githubusercontent.com/openai/CLIP/main/clip/bpe_simple_vocab_16e6.txt.gz",
            ),
        ),
        licence="stated nowhere that was read",
        folder="viclip",
        vbench="ViCLIP",
    ),
}
"""In the order they are listed."""

PROFILES = {
    "paper": "Depth Anything V2, RAFT, SAM, DWPose, DensePose: UnityVideo names no sizes, so the largest",
    "best": "the most accurate that has a loader here",
    "commercial": "licences that were read and allow commercial use; what has none is left to the embedded annotators",
}
"""Sets of experts that `openuni weights --profile` and `--experts` know; their members stand in EXPERT_SETS."""
