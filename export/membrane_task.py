"""Neuronal membranes, as a task of `vnome train` and `vnome score`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from export.membrane_maps import Maps, MembraneScanner, darkness, membrane_maps, without_specks
from export.membrane_training import MembraneTrainer, load_membrane_network, preset_config
from export.membranes import Mask, Membranes, load_membranes
from export.segmentation_scores import agreements, best_score, pixel_errors, resampled, v_rands
from export.task import Scores, Sources, Task
from export.training import Trainer

SET = "isbi2012"  # folder of the set


@dataclass(frozen=True)
class MembraneTask(Task):
    """The slices of ISBI 2012 of which the last are held out, scored by V_rand after thinning and by pixel error."""

    def trainer(self, sources: Sources, preset: str, steps: int | None, seed: int, device: str, out: Path) -> Trainer:
        """See `Task.trainer`."""
        training, _ = _split(sources)
        return MembraneTrainer(preset_config(preset, steps, seed), training, out, device)

    def score(self, runs: Sequence[Path], sources: Sources) -> Scores:
        """See `Task.score`. The committee averages probabilities, each over 8 turns; then specks go."""
        training, unseen = _split(sources)
        share = float(training.membrane.mean())
        scanners = [MembraneScanner(load_membrane_network(run), share) for run in runs]
        said = [membrane_maps([scanner], unseen.pictures) for scanner in scanners]
        together: Maps = np.stack(said).mean(axis=0)
        return {
            "task": self.name,
            "metric": "V_rand of held-out slices (1 is perfect)",
            "runs": [
                {"run": str(run), **figures(without_specks(maps), unseen.membrane)}
                for run, maps in zip(runs, said, strict=True)
            ],
            "committee": {"of": len(runs), **figures(without_specks(together), unseen.membrane)},
            "smoothed_grey_values": v_rand_figures(darkness(unseen.pictures), unseen.membrane),
        }


def figures(maps: Maps, membrane: Mask) -> dict[str, Any]:
    """Scores of maps of slices (N, H, W), with 95 % intervals from slices drawn anew."""
    errors = pixel_errors(maps, membrane)
    return {
        **v_rand_figures(maps, membrane),
        "pixel_error_percent": round(100 * float(errors.mean()), 2),
        "pixel_error_interval": resampled(lambda drawn: 100 * (drawn @ errors) / len(maps), len(maps)),
    }


def v_rand_figures(maps: Maps, membrane: Mask) -> dict[str, Any]:
    """The same without pixel errors, for maps that are no probabilities."""
    scores: dict[str, Any] = {"slices": len(maps)}
    for name, thin in (("thinned", True), ("as_found", False)):
        table = agreements(maps, membrane, thin)
        best = best_score(table)
        scores[f"v_rand_{name}"] = round(best.v_rand, 4)
        scores[f"v_rand_{name}_interval"] = resampled(partial(v_rands, table), len(maps))
        if thin:
            scores |= {"split": round(best.split, 4), "merge": round(best.merge, 4), "threshold": best.threshold}
    return scores


def _split(sources: Sources) -> tuple[Membranes, Membranes]:
    return load_membranes(sources.need_data() / SET).split()


MEMBRANES = MembraneTask(
    name="membranes",
    published="winner of ISBI 2012 (Ciresan et al. 2012), on test slices whose labels are not public",
)
