"""`make bench-camera`: what one camera frame costs on one core, by stage, beside PDQ and pHash, in one run."""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable

import cv2
import numpy as np
import pdqhash

from edge.virtual_phone import CLIP_HEIGHT, CLIP_WIDTH, VirtualPhone, preset
from pipeline.bundles import shipped_bundle
from pipeline.detector import CLOSER, DETECTOR, ScreenDetector
from pipeline.encoder import ENCODER, Encoder
from pipeline.frames import Frame

READ_WIDTH, READ_HEIGHT = 640, 360  # as `vnome match` reads a clip of 854x480
REPEATS = 60


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    film = cv2.resize(rng.integers(0, 255, (9, 16, 3), dtype=np.uint8), (640, 360), interpolation=cv2.INTER_CUBIC)
    phone = VirtualPhone(preset("hard", width=CLIP_WIDTH, height=CLIP_HEIGHT), seed=1)
    shot = next(phone.film([Frame(np.asarray(film, np.uint8), 0.0)], seconds=0.1))
    image = np.asarray(cv2.resize(shot.image, (READ_WIDTH, READ_HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)
    corners = (shot.screen * (READ_WIDTH / CLIP_WIDTH)).astype(np.float32)
    bundle = shipped_bundle(DETECTOR)
    floats, int8 = (ScreenDetector(bundle, threads=1, int8=chosen) for chosen in (False, True))
    chosen = ScreenDetector(bundle, threads=1)
    shown = np.ptp(corners, axis=0) / (READ_WIDTH, READ_HEIGHT)
    print(
        f"the screen takes up {shown[0]:.0%} of the width and {shown[1]:.0%} of the height; up to {CLOSER:.0%} of both"
    )
    print("it is looked at twice")
    encoder = Encoder(shipped_bundle(ENCODER), threads=1)
    target = np.array([[0, 0], [256, 0], [256, 256], [0, 256]], np.float32)
    flat = cv2.warpPerspective(image, cv2.getPerspectiveTransform(corners, target), (256, 256))
    stages: dict[str, Callable[[], object]] = {
        "one look, 32-bit floats": lambda: floats._look(image),
        "one look, 8-bit integers": lambda: int8._look(image),
        "find the screen, as shipped": lambda: chosen.detect([image]),
        "rectify and code": lambda: encoder.encode_batch(image[None], corners[None]),
        "PDQ of a rectified picture": lambda: pdqhash.compute(flat),
        "pHash of a rectified picture": lambda: cv2.dct(
            cv2.resize(
                cv2.cvtColor(flat, cv2.COLOR_RGB2GRAY).astype(np.float32), (32, 32), interpolation=cv2.INTER_AREA
            )
        ),
    }
    milliseconds = {name: _milliseconds(stage) for name, stage in stages.items()}
    both = milliseconds["find the screen, as shipped"] + milliseconds["rectify and code"]
    for name, spent in milliseconds.items():
        print(f"{name:<32}{spent:8.2f} ms a frame  {spent / both:6.2f} of finding and coding")
    sizes = {kind: shipped_bundle(kind).model_path.stat().st_size for kind in (DETECTOR, ENCODER)}
    print(f"{'find and code, one core':<32}{both:8.2f} ms a frame; models {sum(sizes.values()) / 1e6:.2f} MB")
    machine = f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}"
    figures = {name: round(spent, 3) for name, spent in milliseconds.items()}
    print(json.dumps({"milliseconds": figures, "model_bytes": sizes, "machine": machine}))


def _milliseconds(stage: Callable[[], object]) -> float:
    """Median of many runs: the machine is shared."""
    stage()
    spent = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        stage()
        spent.append(time.perf_counter() - started)
    return float(np.median(spent)) * 1000


if __name__ == "__main__":
    main()
