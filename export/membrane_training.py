"""Training of a membrane detector on large crops in one pass.

Ciresan et al., NIPS 2012: a max-pooling CNN says of each pixel, from a window around it, whether it is of a membrane;
as many windows of membranes as of cells are shown, rotated and mirrored. Masci et al., ICIP 2013 (arXiv 1302.1690),
section 2: all windows of a picture in one pass have the same gradient as one by one, and are far cheaper; there the
classes are balanced by weights.
"""

# N crops of a batch, T side of what is answered of a crop, S side of the window, H and W size of a slice; pixels

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch.nn import functional

from export.distortion import Distortion
from export.membranes import Grey, Membranes
from export.networks.fragments import FragmentedMpcnn
from export.networks.mpcnn import N4, Mpcnn, MpcnnConfig
from export.training import RunConfig, Trainer, load_checkpoint
from pipeline.errors import InputError

CONTRAST, BRIGHTNESS = 0.2, 0.3  # most that a crop's grey values, about -2..2, are stretched and raised by


@dataclass(frozen=True)
class MembraneTrainingConfig(RunConfig):
    """One run. task: what it learns. crops: of a batch. side: of the square that is answered of each, pixels.

    distortion: of crops, after one of the 8 rotations by right angles and mirrors.
    """

    task: str = "membranes"
    steps: int = 1200
    learning_rate: float = 2e-3
    crops: int = 1
    side: int = 128
    network: MpcnnConfig = field(default_factory=lambda: MpcnnConfig(N4, "tanh"))
    distortion: Distortion = field(
        default_factory=lambda: Distortion(degrees=20, scale=0.1, elastic=3, smooth=12, padding="reflection")
    )


def preset_config(preset: str, steps: int | None, seed: int) -> MembraneTrainingConfig:
    """The configuration of a preset, "cpu" or "gpu". steps: instead of the preset's."""
    config = MembraneTrainingConfig(seed=seed)
    if preset == "gpu":
        config = replace(config, steps=6000, crops=4, side=320)
    return replace(config, steps=steps) if steps else config


class MembraneTrainer(Trainer):
    """Learns where membranes run; see `Trainer`. The crops of a step follow from the seed and the step alone.

    Raises InputError, besides, when the slices are smaller than a crop or than half of the window.
    """

    def __init__(self, config: MembraneTrainingConfig, data: Membranes, folder: Path, device: str = "cpu") -> None:
        least = max(config.side, config.network.plan.side // 2 + 1)
        if min(data.pictures.shape[1:]) < least:
            size = "x".join(map(str, data.pictures.shape[1:]))
            raise InputError(f"slices of {size} pixels are too small; training needs {least} pixels both ways")
        torch.manual_seed(config.seed)
        self.membrane_config = config
        super().__init__(config, FragmentedMpcnn(Mpcnn(config.network)), folder, device)  # faster than dilated
        self._window = config.network.plan.side
        labels = torch.from_numpy(data.membrane).unsqueeze(1).float()
        both = torch.cat([as_input(data.pictures), labels], dim=1)  # (slices, 2, H, W)
        self._slices = with_surroundings(both, self._window).to(self.device)
        share = float(data.membrane.mean())
        self._weights = torch.tensor([0.5 / (1 - share), 0.5 / share], device=self.device)

    def loss(self) -> torch.Tensor:
        pictures, labels = self.batch()
        with self.autocast():
            outputs = self.network(pictures)
        return functional.cross_entropy(outputs.float(), labels, self._weights)

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The crops of the next step.

        Pictures float32 (N, 1, T + S - 1, T + S - 1), labels int64 (N, T, T), 1 for membranes.
        """
        config = self.membrane_config
        random = torch.Generator(self.device).manual_seed(config.seed * 1_000_003 + self.step)
        crops = torch.stack([self._crop(random) for _ in range(config.crops)])  # (N, 2, T + S - 1, T + S - 1)
        grid = config.distortion.grid(crops.shape, random, self.device)
        pictures = config.distortion.apply(crops[:, :1], grid)
        change = torch.rand(2, config.crops, 1, 1, 1, generator=random, device=self.device) * 2 - 1
        pictures = pictures * (1 + CONTRAST * change[0]) + BRIGHTNESS * change[1]
        labels = config.distortion.apply(crops[:, 1:], grid, "nearest")
        first = self._window // 2  # the pixel that a window is asked about
        return pictures, labels[:, 0, first : first + config.side, first : first + config.side].long()

    def _crop(self, random: torch.Generator) -> torch.Tensor:
        """A random square of a random slice and of its labels, turned: (2, T + S - 1, T + S - 1)."""
        side = self.membrane_config.side + self._window - 1
        count, _, height, width = self._slices.shape

        def drawn(most: int) -> int:
            return int(torch.randint(most, (), generator=random, device=self.device))

        piece, down, right = drawn(count), drawn(height - side + 1), drawn(width - side + 1)
        square = self._slices[piece, :, down : down + side, right : right + side]
        return turned(square, drawn(8))


def as_input(pictures: Grey) -> torch.Tensor:
    """uint8 (N, H, W) -> float32 (N, 1, H, W), about -2..2."""
    return (torch.from_numpy(pictures).unsqueeze(1).float() - 128) / 64


def with_surroundings(slices: torch.Tensor, window: int) -> torch.Tensor:
    """(N, C, H, W) with its edges mirrored outwards, so that there is a window around each pixel."""
    before = window // 2
    after = window - 1 - before
    return functional.pad(slices, (before, after, before, after), mode="reflect")


def turned(pictures: torch.Tensor, way: int) -> torch.Tensor:
    """(..., H, W) turned by way % 4 right angles, and before that mirrored left to right where way is 4 or more."""
    return (pictures.flip(-1) if way >= 4 else pictures).rot90(way % 4, (-2, -1))


def load_membrane_network(run: Path) -> Mpcnn:
    """The network of a run, ready for use. Raises InputError when there is none."""
    state = load_checkpoint(run)
    network = FragmentedMpcnn(Mpcnn(MpcnnConfig(**state["config"]["network"])))
    network.load_state_dict(state["network"])
    return network.network.eval()
