"""ExpertStage: base of every stage whose weights the user brings. It finds and hashes them before anything runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from openuni.annotators.device import PRECISIONS, Batches, pick_dtype
from openuni.annotators.experts import EXPERTS
from openuni.annotators.weights import Found, check_packages, find_weights, weights_hash
from openuni.config import configured
from openuni.device import pick_device
from openuni.engine.stage import Needs, Stage
from openuni.errors import BadInput, first_line

if TYPE_CHECKING:
    import torch

VRAM_GB = 8.0  # ours: what is asked of a GPU where nothing was measured


@dataclass(kw_only=True)
class ExpertStage(Stage):
    """A stage with weights. Subclasses set `expert`, a key of EXPERTS, and `licence`, and load in `load`.

    Making one finds its files and hashes them, so that a missing file ends a run before it starts, and other weights
    get another fingerprint. Where the files lie, the device and the batch size change no fingerprint.

    Raises:
        MissingWeights, BadInput: see annotators/weights.py; a setting means nothing.
    """

    weights: str | None = None
    """Folder of --weights. None: OPENUNI_WEIGHTS and the libraries' caches alone."""
    device: str = "auto"
    """auto, cpu or cuda."""
    precision: str = "auto"
    """auto (float16 on CUDA, float32 on a CPU), float32, float16 or bfloat16."""
    compile: bool = False
    """Compile the network with torch.compile: a minute or more at the start, then faster on a GPU."""
    batch_size: int = 8
    """Pictures at a time; halved where a GPU's memory does not hold them. Ours: fills no GPU, costs a CPU nothing."""

    UNHASHED: ClassVar[tuple[str, ...]] = ("weights", "device", "batch_size", "compile")
    """Fields that may differ between runs that resume each other."""
    alone: ClassVar[bool] = True
    """Runs on any clip without settings of the user's, so that `openuni weights verify` can run it."""
    vram_gb: ClassVar[float] = VRAM_GB
    """Memory of a GPU that one worker should have to itself."""

    def __post_init__(self) -> None:
        """Find the weights and note their hash and what a worker needs."""
        if self.precision not in PRECISIONS:
            raise BadInput(f"{self.name}.precision must be one of {', '.join(PRECISIONS)}, got {self.precision!r}.")
        self.batches = Batches(self.batch_size)
        for name in (self.expert, *self.needed()):
            check_packages(name)
        self.found: Found = find_weights(self.expert, self.weights)
        self.used = {name: find_weights(name, self.weights) for name in self.needed()}
        # An instance's own values of class variables.
        setattr(self, "weights_hash", weights_hash(self.found, *self.used.values()))  # noqa: B010
        if pick_device(self.device).type == "cuda":
            setattr(self, "needs", Needs(cpus=1.0, gpus=1.0, vram_gb=self.vram_gb))  # noqa: B010

    def needed(self) -> tuple[str, ...]:
        """Return the other rows of EXPERTS whose files this stage uses."""
        return EXPERTS[self.expert].uses

    def parameters(self) -> dict[str, Any]:
        """Return what decides the result: the fields less UNHASHED. The weights count by their hash."""
        return {name: value for name, value in super().parameters().items() if name not in self.UNHASHED}

    def setup(self) -> None:
        """Choose device and number format, and load the network."""
        self.torch_device: torch.device = pick_device(self.device)
        self.dtype: torch.dtype = pick_dtype(self.torch_device, self.precision)
        self.load(self.found)

    def compiled(self, module: Any) -> Any:
        """Return a network or a part of one, compiled where the setting says so; pictures of one size are expected."""
        if not self.compile:
            return module
        import torch

        return torch.compile(module, dynamic=False)

    def load(self, found: Found) -> None:
        """Load the network onto `torch_device` in `dtype`.

        Raises:
            BadInput: the files are damaged or for another network.
        """
        raise NotImplementedError


def make_stage(cls: type[Stage], settings: Mapping[str, str], weights: str | None, *, part: str) -> Stage:
    """Make a stage with the user's settings; only one that needs weights is told where they are.

    Args:
        cls: the stage's class.
        settings: `--set part.parameter=value`, of this part.
        weights: the folder of --weights.
        part: what --set calls it.

    Raises:
        UnknownName, BadInput, MissingWeights: see openuni.config.configured and ExpertStage.
    """
    fixed = {"weights": weights} if issubclass(cls, ExpertStage) else {}
    stage: Stage = configured(cls, settings, part=part, **fixed)
    return stage


def terms(name: str) -> str:
    """Return an expert's licence as its samples say it."""
    return EXPERTS[name].terms


def read_state(path: Path) -> dict[str, "torch.Tensor"]:
    """Read tensors by name from a .safetensors or torch file, on the CPU. Pickled code is never run.

    A "state_dict" or "model" inside is opened, and the "module." that DataParallel puts before names is taken off.

    Raises:
        BadInput: the file is no such file.
    """
    import pickle

    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
        reason = first_line(error)[:200]
        raise BadInput(f"{path} cannot be read as weights ({reason}). Fetch it again: openuni weights") from error
    except Exception as error:  # safetensors' own error derives from Exception alone
        raise BadInput(f"{path} cannot be read as weights ({error}). Fetch it again: openuni weights") from error
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise BadInput(f"{path} holds no tensors by name. Fetch it again: openuni weights")
    return {name.removeprefix("module."): value for name, value in state.items()}


def fill(network: "torch.nn.Module", state: dict[str, "torch.Tensor"], path: Path) -> None:
    """Load tensors into a network, all of them and no others.

    Raises:
        BadInput: names or shapes differ; the message gives the first that do.
    """
    own = network.state_dict()
    wrong = [name for name in own if name not in state]
    wrong += [name for name in state if name not in own or state[name].shape != own[name].shape]
    if wrong:
        raise BadInput(
            f"{path} is for another network than {type(network).__name__}: {len(wrong)} of {len(own)} tensors differ, "
            f"as {', '.join(wrong[:3])}. Fetch the file that openuni weights names."
        )
    network.load_state_dict(state)


def network_of(path: Path, make: Callable[[dict[str, "torch.Tensor"]], "torch.nn.Module | None"], called: str) -> Any:
    """Make a network of ours whose shape is read off its weights, float32, for use.

    Args:
        path: its weights, under the original names.
        make: state -> network with random weights; None where the state is of another network.
        called: its name, for people.

    Raises:
        BadInput: the file is damaged or for another network.
    """
    state = read_state(path)
    network = make(state)
    if network is None:
        raise BadInput(f"{path} is for another network than {called}. Fetch the file that openuni weights names.")
    fill(network, state, path)
    return network.eval()


def load_pretrained(cls: Any, found: Found, *, model_type: str) -> Any:
    """Load a transformers model from its folder, all tensors and no others.

    Args:
        cls: the model's class.
        found: its files.
        model_type: what config.json must say; transformers would only warn.

    Raises:
        BadInput: the folder is damaged or holds another network.
    """
    import json

    try:
        said = json.loads((found.folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise BadInput(f"{found.folder / 'config.json'} cannot be read ({error}). Fetch it again.") from error
    if said != model_type:
        raise BadInput(f"{found.folder} holds a {said!r} model, not {model_type!r}. Fetch what openuni weights names.")
    try:
        model, about = cls.from_pretrained(found.folder, local_files_only=True, output_loading_info=True)
    except Exception as error:  # whatever a damaged file makes the library raise
        reason = first_line(error)[:200]
        raise BadInput(f"{found.folder} cannot be loaded as {cls.__name__} ({reason}). Fetch it again.") from error
    wrong = sorted(about["missing_keys"]) + sorted(str(key) for key in about["mismatched_keys"])
    if wrong:
        raise BadInput(
            f"{found.folder} lacks {len(wrong)} tensors of {cls.__name__}, as {', '.join(wrong[:3])}. Fetch it again."
        )
    return model.eval()


def load_processor(found: Found, kind: str = "AutoImageProcessor") -> Any:
    """Load the processor that lies beside a transformers model.

    Args:
        found: the model's files.
        kind: class of transformers.

    Raises:
        BadInput: its files, as preprocessor_config.json, cannot be used.
    """
    import transformers

    try:
        return getattr(transformers, kind).from_pretrained(found.folder, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        reason = first_line(error)
        raise BadInput(f"preprocessor_config.json in {found.folder} cannot be used ({reason}).") from error
