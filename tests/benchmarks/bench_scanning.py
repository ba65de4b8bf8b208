"""`make bench-scanning`: patches a second, one by one and whole pictures in one pass, in scanning and in training.

The talk (SGAICO 2014, "Segmentation and detection: the fast way") shows, from Giusti et al., ICIP 2013, for N3 260
patches/s one by one and 4,500 in one pass, for N4 130 and 3,000; there the first is a tuned GPU program and the second
Matlab on a CPU. Here both run on one thread of the same CPU, so that the ratio is what one pass saves. Seconds are
those that the thread had a processor for, since the machine may be shared.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import nn

from export.networks.dense import DenseConfig, DenseMaxPoolingCnn
from export.networks.dilated import DilatedMpcnn
from export.networks.fragments import FragmentedMpcnn
from export.networks.mpcnn import N3, N4, Convolution, Mpcnn, MpcnnConfig, Pooling, parse
from export.scanning import Scanner
from tests.dense_patches import patch_by_patch

BATCH = 8  # patches that go through a network at once, one by one: of 1 to 256 the fastest, they fit the cache
PICTURE = 512  # side of the picture that is scanned, pixels: a slice of ISBI 2012
TRAINED = 160  # side of what is answered of the picture that is trained on, pixels: as in `MembraneTrainer`
FRAME_HEIGHT, FRAME_WIDTH = 180, 320  # pixels; what the detector gets
ROUNDS, SECONDS = 2, 1.0  # each way has its turn in each round, for so long at least
NETWORKS = {"N3": N3, "N4": N4}
TALK = {"N3": (260, 4500), "N4": (130, 3000)}  # patches/s one by one, and in one pass


class Way(NamedTuple):
    """One way to answer for `patches` patches of a picture."""

    network: str
    name: str
    patches: int
    run: Callable[[], object]


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rates: dict[str, dict[str, float]] = {}
    print(f"{'network':<26}{'way':<34}{'patches/s':>10}{'ratio':>8}")
    scanning = [_scanning(name, notation) for name, notation in NETWORKS.items()]
    training = [_training(name, notation) for name, notation in NETWORKS.items()]
    for ways in map(tuple, (*scanning, _detector(), *training)):
        for way, seconds in zip(ways, _least_seconds(ways), strict=True):
            of_network = rates.setdefault(way.network, {})
            of_network[way.name] = rate = way.patches / seconds
            ratio = rate / next(iter(of_network.values()))
            print(f"{way.network:<26}{way.name:<34}{rate:>10,.0f}{ratio:>8.1f}", flush=True)
    saved = {name: round(_work(notation) / _work(notation, PICTURE), 1) for name, notation in NETWORKS.items()}
    for name, ratio in saved.items():
        print(f"{name:<26}{'multiplications saved':<44}{ratio:>8.1f}")
    for name, (alone, whole) in TALK.items():
        print(f"{name + ', the talk':<26}{'GPU one by one, CPU in one pass':<34}{whole:>10,}{whole / alone:>8.1f}")
    sizes = {"picture": PICTURE, "trained": TRAINED, "frame": [FRAME_HEIGHT, FRAME_WIDTH], "batch": BATCH}
    machine = f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}, one thread"
    rounded = {network: {way: round(rate, 1) for way, rate in ways.items()} for network, ways in rates.items()}
    figures = {"patches_per_second": rounded, "multiplications_saved": saved, "talk": TALK}
    print(json.dumps({**figures, "sizes": sizes, "machine": machine}))


def _work(notation: str, picture: int | None = None) -> float:
    """Multiplications for a patch by itself, or for each patch of a square picture of this side in one pass."""
    plan = parse(notation)
    answered = picture - plan.side + 1 if picture else 1
    side, step, maps, work = plan.side, 1, plan.maps, 0.0
    for layer in plan.layers:
        if isinstance(layer, Pooling):
            side //= layer.size
            step *= layer.size
            continue
        kernel = layer.kernel if isinstance(layer, Convolution) else side
        side = side - kernel + 1
        cells = step * (side - 1) + answered if picture else side  # neighbours of a patch alone are `step` apart
        work += cells**2 * layer[0] * maps * kernel**2
        maps = layer[0]
    return work / answered**2


def _scanning(name: str, notation: str) -> Iterator[Way]:
    network = Mpcnn(MpcnnConfig(notation)).eval()
    patches = _channels_last(torch.rand(BATCH, *network.window))
    picture = _channels_last(torch.rand(1, 1, PICTURE, PICTURE))
    count = (PICTURE - network.window[1] + 1) ** 2
    yield Way(name, "one by one, torch", BATCH, lambda: _scan(network, patches))
    yield Way(name, "one pass, fragments, torch", count, lambda: _scan(FragmentedMpcnn(network), picture))
    yield Way(name, "one pass, dilated, torch", count, lambda: _scan(DilatedMpcnn(network), picture))
    scanner = Scanner(DilatedMpcnn(network), picture, network.window[1])
    yield Way(name, "one pass, dilated, ONNX Runtime", count, partial(scanner, picture))


def _detector() -> Iterator[Way]:
    config = DenseConfig()
    network = DenseMaxPoolingCnn(config).eval()
    patches = _channels_last(torch.rand(BATCH, 3, config.field, config.field))
    picture = _channels_last(torch.rand(1, 3, FRAME_HEIGHT, FRAME_WIDTH))
    count = (FRAME_HEIGHT // config.stride) * (FRAME_WIDTH // config.stride)
    name = f"screen detector, {count:,}"
    yield Way(name, "one by one, torch", len(patches), lambda: _alone(network, patches))
    yield Way(name, "one pass, dilated, torch", count, lambda: _scan(network, picture))
    scanner = Scanner(network, picture, FRAME_HEIGHT // 2)
    yield Way(name, "one pass, dilated, ONNX Runtime", count, partial(scanner, picture))


def _training(name: str, notation: str) -> Iterator[Way]:
    network = Mpcnn(MpcnnConfig(notation))
    patches = _channels_last(torch.rand(BATCH, *network.window))
    side = TRAINED + network.window[1] - 1
    picture = _channels_last(torch.rand(1, 1, side, side))
    name += ", training"
    yield Way(name, "one by one, torch", BATCH, lambda: _learn(network, network, patches))
    for way, scan in (("fragments", FragmentedMpcnn(network)), ("dilated", DilatedMpcnn(network))):
        yield Way(name, f"one pass, {way}, torch", TRAINED**2, partial(_learn, scan, network, picture))


def _channels_last(x: torch.Tensor) -> torch.Tensor:
    """The order of values that torch's convolutions are faster with on a CPU."""
    return x.contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def _scan(network: nn.Module, shown: torch.Tensor) -> object:
    return network(shown)


@torch.inference_mode()
def _alone(network: DenseMaxPoolingCnn, patches: torch.Tensor) -> object:
    return patch_by_patch(network, patches)


def _learn(scan: nn.Module, network: Mpcnn, shown: torch.Tensor) -> object:
    return torch.autograd.grad(scan(shown).square().sum(), list(network.parameters()))


def _least_seconds(ways: Sequence[Way]) -> list[float]:
    """Processor time of a run of each way, the least of many: what else the machine does only adds to it."""
    spent: list[list[float]] = [[] for _ in ways]
    for way in ways:
        way.run()
    for _ in range(ROUNDS):
        for way, times in zip(ways, spent, strict=True):
            until = sum(times) + SECONDS
            while sum(times) < until:
                started = time.process_time()
                way.run()
                times.append(time.process_time() - started)
    return [min(times) for times in spent]


if __name__ == "__main__":
    main()
