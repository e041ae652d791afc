"""Tiny networks that see people, in the formats that are published, with weights set by hand.

YOLOX, YOLO and YOLO-pose take a red square of 8 px at a cell of theirs for a person, RT-DETR sees one person in one
place whatever it is shown. Each function fills one folder.
"""

from pathlib import Path

import numpy as np
import torch

SIDE = 64  # px of the networks' pictures
RTDETR_BOX = (0.4, 0.55, 0.3, 0.6)  # centre x, y, width, height as shares of the picture
YOLOX_SIZE = (12.0, 20.0)  # width and height of every person YOLOX finds, px of its picture
YOLO_REACH = (1, 2, 1, 3)  # strides of 8 px from a cell's centre to left, top, right, bottom


def red_squares(*cells, frames=1, height=SIDE, width=SIDE):
    """(T, height, width, 3) uint8, black with a red square in each cell (column, row) of 8 px."""
    rgb = np.zeros((frames, height, width, 3), np.uint8)
    for column, row in cells:
        rgb[:, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8, 0] = 255
    return rgb


def save_rtdetr(folder: Path, label: str = "person", score: float = 0.9, version: int = 1) -> Path:
    """Write an RTDetr(V2)ForObjectDetection that always finds one `label` in RTDETR_BOX, with its image processor."""
    import transformers

    torch.manual_seed(0)
    kind = "RTDetr" if version == 1 else "RTDetrV2"
    backbone = transformers.RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = getattr(transformers, f"{kind}Config")(
        backbone_config=backbone, encoder_in_channels=[8, 16, 16], encoder_hidden_dim=16, encoder_ffn_dim=16,
        encoder_attention_heads=2, d_model=16, decoder_in_channels=[16, 16, 16], decoder_ffn_dim=16, decoder_layers=2,
        decoder_attention_heads=2, num_queries=1, num_denoising=0, id2label={0: "dog", 1: label},
        label2id={"dog": 0, label: 1},
    )  # fmt: skip
    model = getattr(transformers, f"{kind}ForObjectDetection")(config)
    with torch.no_grad():
        # Reference points far beyond the picture are cut to 1, whose inverse sigmoid is log(1 / 1e-5) in the library:
        # the biases of the two layers alone say where the box is.
        model.model.enc_bbox_head.layers[-1].weight.zero_()
        model.model.enc_bbox_head.layers[-1].bias.fill_(1000.0)
        for head in model.model.decoder.bbox_embed:
            head.layers[-1].weight.zero_()
            head.layers[-1].bias.copy_((torch.logit(torch.tensor(RTDETR_BOX)) - np.log(1e5)) / 2)
        for head in model.model.decoder.class_embed:
            head.weight.zero_()
            head.bias.copy_(torch.tensor([-9.0, float(np.log(score / (1 - score)))]))
    model.save_pretrained(folder)
    transformers.RTDetrImageProcessor(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return folder


def save_onnx(path: Path, nodes, outputs, constants, shape=("N", 3, SIDE, SIDE)) -> Path:
    """Write an ONNX file whose input is "images". `outputs` are (name, shape), `constants` name -> array."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name, size in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def save_yolox(folder: Path, name: str = "yolox_l.onnx", batch: int | str = "N") -> Path:
    """Write YOLOX's raw heads of two classes: object 1 and class 0 (person) where a cell of stride 8 is red, class 1
    where it is blue; a box of YOLOX_SIZE about the cell's middle. Pictures are BGR."""
    from onnx import helper

    coarse = (SIDE // 16) ** 2 + (SIDE // 32) ** 2
    box = np.tile(np.float32([0.5, 0.5, *np.log(np.array(YOLOX_SIZE) / 8)]), (1, (SIDE // 8) ** 2, 1))
    nodes = [
        helper.make_node("AveragePool", ["images"], ["cells"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Mul", ["cells", "scale"], ["bright"]),
        helper.make_node("Clip", ["bright", "zero", "one"], ["share"]),
        helper.make_node("Reshape", ["share", "rows"], ["flat"]),  # (N, 3, cells), blue green red
        helper.make_node("Transpose", ["flat"], ["last"], perm=[0, 2, 1]),
        helper.make_node("Slice", ["last", "two", "three", "axis"], ["red"]),
        helper.make_node("Slice", ["last", "nought", "first", "axis"], ["blue"]),
        helper.make_node("Max", ["red", "blue"], ["object"]),
        helper.make_node("Mul", ["object", "none"], ["nothing"]),
        helper.make_node("Add", ["nothing", "box"], ["boxes"]),
        helper.make_node("Concat", ["boxes", "object", "red", "blue"], ["fine"], axis=2),
        helper.make_node("Pad", ["fine", "pads"], ["output"]),
    ]
    constants = {
        "scale": np.float32(1 / 250), "zero": np.float32(0), "one": np.float32(1), "none": np.float32(0), "box": box,
        "rows": np.int64([-1, 3, (SIDE // 8) ** 2]), "two": np.int64([2]), "three": np.int64([3]),
        "nought": np.int64([0]), "first": np.int64([1]), "axis": np.int64([2]),
        "pads": np.int64([0, 0, 0, 0, coarse, 0]),
    }  # fmt: skip
    size = (batch, (SIDE // 8) ** 2 + coarse, 7)
    return save_onnx(folder / name, nodes, [("output", size)], constants, shape=(batch, 3, SIDE, SIDE))


def save_simcc(folder: Path, name: str, joints: int = 133, size=(96, 72)) -> Path:
    """Write a SimCC network: each joint is at the reddest column and row of the picture, in half pixels.

    Joint k is k half pixels farther right than joint 0, as far as that is possible. Confidence is red's mean there,
    over 2.
    """
    from onnx import helper

    height, width = size
    # Columns and rows to half pixels, and a shift for each joint, by matrices.
    across = np.zeros((joints, width, 2 * width), np.float32)
    for joint in range(joints):
        for column in range(width):
            if 2 * column + joint < 2 * width:
                across[joint, column, 2 * column + joint] = 1
    down = np.zeros((height, 2 * height), np.float32)
    down[np.arange(height), 2 * np.arange(height)] = 1
    nodes = [
        helper.make_node("Slice", ["images", "nought", "first", "axis"], ["red"]),  # RGB
        helper.make_node("ReduceMax", ["red"], ["columns"], axes=[2], keepdims=1),  # (N, 1, 1, width)
        helper.make_node("ReduceMax", ["red"], ["rows"], axes=[3], keepdims=1),  # (N, 1, height, 1)
        helper.make_node("Transpose", ["rows"], ["lying"], perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["columns", "across"], ["x"]),  # (N, joints, 1, 2 width)
        helper.make_node("MatMul", ["lying", "down"], ["y"]),  # (N, 1, 1, 2 height)
        helper.make_node("Reshape", ["x", "x_shape"], ["wide"]),
        helper.make_node("Reshape", ["y", "y_shape"], ["tall"]),
        helper.make_node("Mul", ["wide", "half"], ["simcc_x"]),
        helper.make_node("Expand", ["tall", "many"], ["every"]),
        helper.make_node("Mul", ["every", "half"], ["simcc_y"]),
    ]
    constants = {
        "nought": np.int64([0]), "first": np.int64([1]), "axis": np.int64([1]), "across": across, "down": down,
        "x_shape": np.int64([-1, joints, 2 * width]), "y_shape": np.int64([-1, 1, 2 * height]),
        "many": np.int64([1, joints, 1]), "half": np.float32(1 / 4),
    }  # fmt: skip
    outputs = [("simcc_x", ("N", joints, 2 * width)), ("simcc_y", ("N", joints, 2 * height))]
    return save_onnx(folder / name, nodes, outputs, constants, shape=("N", 3, *size))


def save_vitpose(folder: Path, seed: int = 0) -> Path:
    """Write a VitPoseForPoseEstimation of 0.05 M parameters with its processor."""
    import transformers

    torch.manual_seed(seed)
    backbone = transformers.VitPoseBackboneConfig(
        image_size=[64, 48], patch_size=[16, 16], hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        mlp_ratio=2, out_features=["stage2"],
    )  # fmt: skip
    names = {number: f"joint {number}" for number in range(17)}
    config = transformers.VitPoseConfig(
        backbone_config=backbone, id2label=names, label2id={name: number for number, name in names.items()},
        use_simple_decoder=True,
    )  # fmt: skip
    model = transformers.VitPoseForPoseEstimation(config)
    with torch.no_grad():  # as initialised, heatmaps are nearly 0
        model.head.conv.weight.mul_(20.0)
    model.save_pretrained(folder)
    transformers.VitPoseImageProcessor(size={"height": 64, "width": 48}).save_pretrained(folder)
    return folder


def save_yolo(folder: Path, name: str, *, pose: bool = False, label: str = "person") -> Path:
    """Write a network of ultralytics with one head of stride 8: a person where a cell is red, YOLO_REACH about it.

    Joint k of a pose is 2 px times k to the right of the cell's corner and 4 px below it, confidence 0.9.
    """
    import yaml

    from openuni import env
    from openuni.annotators.yolo import others_untouched

    env.prepare()  # before ultralytics reads its settings
    with others_untouched():
        from ultralytics import YOLO

    folder.mkdir(parents=True, exist_ok=True)
    head = [[0], 1, "Pose", ["nc", [17, 3]]] if pose else [[0], 1, "Detect", ["nc"]]
    recipe = {"nc": 1, "backbone": [[-1, 1, "Conv", [8, 8, 8, 0]]], "head": [head]}
    if pose:
        recipe["kpt_shape"] = [17, 3]
    recipe_file = folder / f"tiny{'-pose' if pose else ''}.yaml"
    recipe_file.write_text(yaml.safe_dump(recipe))
    made = YOLO(str(recipe_file), task="pose" if pose else "detect")
    network = made.model
    with torch.no_grad():
        for value in network.parameters():
            if value.dim() > 1:
                value.zero_()
        first, last = network.model[0].conv, network.model[-1]
        first.weight[0, 0] = 10 / 64  # red less the other two: 10 for pure red
        first.weight[0, 1:] = -10 / 64
        for module in last.cv3.modules():
            if isinstance(module, torch.nn.Conv2d):
                middle = module.kernel_size[0] // 2
                module.weight[0, 0, middle, middle] = 1
        last.cv3[0][-1].weight[0, 0] = 2
        last.cv3[0][-1].bias.fill_(-12)
        last.dfl.conv.weight.copy_(torch.arange(last.reg_max).view(1, -1, 1, 1))
        bins = torch.zeros(4, last.reg_max)
        bins[range(4), YOLO_REACH] = 20  # all of the distribution in one bin
        last.cv2[0][-1].bias.copy_(bins.flatten())
        if pose:
            joints = torch.tensor([[joint / 8, 0.25, 2.2] for joint in range(17)])  # logit of 0.9 is 2.2
            last.cv4[0][-1].bias.copy_(joints.flatten())
    network.names = {0: label}
    made.ckpt = {"train_args": {"imgsz": SIDE, "task": made.task}}
    made.save(folder / name)
    return folder / name


class _Bodies(torch.nn.Module):
    """Takes pure red and pure green for two people; a body fills the middle of its box, part 2 above part 9."""

    def look(self, bgr: torch.Tensor) -> list[torch.Tensor]:
        boxes: list[torch.Tensor] = []
        for channel in (2, 1):
            places = torch.nonzero(bgr[channel] > 128)
            if places.shape[0] > 0:
                low, high = places.min(dim=0)[0], places.max(dim=0)[0] + 1
                boxes.append(torch.stack([low[1], low[0], high[1], high[0]]).float())
        count = len(boxes)
        coarse = torch.zeros(count, 2, 8, 8)
        coarse[:, 1, :, 2:6] = 2.0
        coarse[:, 0] = 1.0
        fine = torch.zeros(count, 25, 8, 8)
        fine[:, 2, :4] = 5.0
        fine[:, 9, 4:] = 5.0
        u = torch.linspace(0, 1, 8).repeat(count, 25, 8, 1)
        found = torch.stack(boxes) if count > 0 else torch.zeros(0, 4)
        return [found, coarse, fine, u, 1 - u]


class TupleForm(_Bodies):
    """The form of LayerNorm's files."""

    def forward(
        self, image: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        boxes, coarse, fine, u, v = self.look(image)
        return boxes, coarse, fine, u, v


class DictForm(_Bodies):
    """The form of dajes/DensePose-TorchScript; the second person is the surer."""

    def forward(self, tensor: torch.Tensor, bgr: bool = True) -> dict[str, torch.Tensor]:
        boxes, coarse, fine, u, v = self.look(tensor.permute(2, 0, 1))
        return {
            "pred_boxes": boxes, "scores": torch.tensor([0.6, 0.9])[: boxes.shape[0]],
            "pred_densepose_coarse_segm": coarse, "pred_densepose_fine_segm": fine, "pred_densepose_u": u,
            "pred_densepose_v": v,
        }  # fmt: skip


def save_densepose(folder: Path, name: str = "densepose_r101_fpn_dl.torchscript") -> Path:
    """Write a TorchScript that sees red and green people: the tuple's form, or by its suffix .pt the dict's."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.jit.script(DictForm() if name.endswith(".pt") else TupleForm()).save(str(folder / name))
    return folder / name


def save_sapiens(folder: Path, labels: dict[int, str], seed: int = 0) -> Path:
    """Write a Sapiens2ForSemanticSegmentation of a few thousand parameters with its image processor."""
    import transformers

    torch.manual_seed(seed)
    config = transformers.Sapiens2Config(
        hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=[64, 48],
        num_key_value_attention_heads=2, num_first_full_attention_layers=1, num_last_full_attention_layers=1,
        head_config={"upsample_out_channels": [16], "conv_out_channels": [16]}, id2label=labels,
        label2id={label: number for number, label in labels.items()},
    )  # fmt: skip
    transformers.Sapiens2ForSemanticSegmentation(config).save_pretrained(folder)
    transformers.Sapiens2ImageProcessor(size={"height": 64, "width": 48}).save_pretrained(folder)
    return folder
