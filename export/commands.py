"""`vnome train`, `vnome export` and `vnome evaluate`. torch is imported only when one of them runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from pipeline.console import print_json, progress_bar
from pipeline.errors import EXIT_DONE, InputError

if TYPE_CHECKING:
    from export.data import Moments
    from export.networks.sparse_hash import SparseHashNetwork

# Slope and intercept of the film's odds, of the moment's, and the least confidence. Set on the odds that `vnome
# evaluate --json` lists for the held-out films, where unrelated films reached 29 nats; a fitted slope has no end where
# the classes do not overlap.
DECISION = "0.25,-6,1,1,0.85"
HELD_OUT_SHARE = 0.1  # of the films, never trained on: they calibrate margins and are what the card reports


def train(
    films: Annotated[Path, typer.Option(help="Folder of films to train on.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder of the run; a run that stopped there goes on.", show_default=False)],
    stills: Annotated[Path | None, typer.Option(help="Folder of photographs, shown as slow pans.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Training steps.")] = 3200,
    seed: Annotated[int, typer.Option(help="Of all random choices.")] = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> int:
    """Train the Sparse-Hash encoder on pairs: the same moment, clean and through a simulated camera."""
    _need_torch()
    from export.data import films_in, held_out, load_moments, stills_in
    from export.training import Progress, Trainer, TrainingConfig

    paths, photographs = films_in(films), stills_in(stills) if stills else []
    print(f"reading {len(paths)} films and {len(photographs)} photographs")
    moments = load_moments(paths, photographs)
    training = moments.of_films(~held_out(moments.names, HELD_OUT_SHARE))
    trainer = Trainer(TrainingConfig(steps=steps, seed=seed), training, out, device)
    recent: list[float] = []
    with progress_bar("train", steps) as bar:

        def report(progress: Progress) -> None:
            bar.to(progress.step)
            recent.append(progress.loss)
            if progress.step % 50 == 0 or progress.step == steps:
                mean = sum(recent) / len(recent)
                print(
                    f"step {progress.step}/{steps}  loss {mean:.3f}  {progress.seconds_left / 60:.1f} min left",
                    flush=True,
                )
                recent.clear()

        trainer.run(report)
    print(f"trained: {out}; make the bundle with vnome export {out} --films {films} --out FOLDER")
    return EXIT_DONE


def export(
    source: Annotated[
        Path, typer.Argument(metavar="RUN|BUNDLE", help="Folder of a training run, or of a bundle.", show_default=False)
    ],
    films: Annotated[
        Path, typer.Option(help="The films it was trained on; the held-out ones calibrate.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Folder of the bundle.", show_default=False)],
    stills: Annotated[
        Path | None, typer.Option(help="Folder of photographs, a part of what chance looks like.")
    ] = None,
    decision: Annotated[
        str,
        typer.Option(metavar="A,B,C,D,ACCEPT", help="Slopes and intercepts, as vnome evaluate fits them."),
    ] = DECISION,
    json: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
) -> int:
    """Export a trained encoder to an ONNX bundle with its card, and check it against torch.

    Of a bundle the model stays as it is, and what its card says of evidence and decision is measured anew.
    """
    _need_torch()
    from export.bundling import add_to_card, copy_bundle
    from export.data import films_in, held_out, load_moments, stills_in
    from export.evidence_fit import measure_evidence
    from pipeline.bundles import MODEL_FILE, load_bundle
    from pipeline.encoder import ENCODER, Encoder

    rule = _decision(decision)
    paths, photographs = films_in(films), stills_in(stills) if stills else []
    if not held_out(tuple(path.name for path in paths), HELD_OUT_SHARE).any():
        raise InputError(f"no film of {films} is among the held-out ones; give the folder that was trained on")
    bundle = load_bundle(source, ENCODER) if (source / MODEL_FILE).is_file() else None
    network = None if bundle else _trained(source)
    world = load_moments(paths, photographs)
    is_film = np.arange(len(world.names)) < len(paths)
    unseen = world.of_films(held_out(world.names, HELD_OUT_SHARE) & is_film)
    if bundle:
        copy_bundle(bundle, out)
    elif network:
        _write_run(network, source, unseen, out)
    encoder = Encoder(load_bundle(out, ENCODER))
    written = add_to_card(out, {"decision": rule, "evidence": measure_evidence(encoder, unseen, world, seed=1)})
    if json:
        print_json(written)
    else:
        parity = written["parity_largest_margin_difference"]
        print(f"{out}: {written['bytes']} bytes, largest margin difference to torch {parity:.1e} nats")
    return EXIT_DONE


def _trained(run: Path) -> "SparseHashNetwork":
    from export.training import load_network

    return load_network(run)


def _write_run(network: "SparseHashNetwork", run: Path, unseen: "Moments", out: Path) -> None:
    """Calibrates the network of a run on films that it never saw, and writes its bundle."""
    from export.bundling import write_bundle
    from export.calibration import CALIBRATION_STRENGTH, calibrate_margins, code_quality, net_inputs
    from export.training import load_checkpoint

    config = load_checkpoint(run)["config"]
    pairs = net_inputs(network, unseen, CALIBRATION_STRENGTH, seed=1)
    card: dict[str, Any] = {
        "name": "sparse-hash-32",
        "training": {
            "command": f"vnome train --films FILMS --stills STILLS --steps {config['steps']}",
            "config": config,
            "data": "371 clips and 1,460 photographs of public research collections, not part of this repository",
        },
        "quality": {
            "on": f"{len(set(unseen.film.tolist()))} films that training never saw, {len(unseen)} moments",
            **{
                name: code_quality(net_inputs(network, unseen, strength, seed=2))
                for name, strength in (("camera_0.4", 0.4), ("camera_1.0", 1.0))
            },
        },
    }
    write_bundle(network, calibrate_margins(pairs), card, out)


def evaluate(
    films: Annotated[Path, typer.Option(help="Folder of films to index.", show_default=False)],
    unknown: Annotated[Path, typer.Option(help="Folder of films that are not indexed.", show_default=False)],
    clips: Annotated[int, typer.Option(min=1, help="Clips for each edit.")] = 200,
    unknown_clips: Annotated[int, typer.Option(min=1, help="Clips of films that are not indexed.")] = 200,
    seconds: Annotated[float, typer.Option(min=0.5, help="Length of a clip.")] = 5.0,
    edits: Annotated[
        list[str] | None,
        typer.Option("--edit", help="Only this one; may be repeated; also 'phone, hard'."),
    ] = None,
    baseline: Annotated[bool, typer.Option(help="Also the first 32 bits of pHash, on the same clips.")] = True,
    seed: Annotated[int, typer.Option(help="Of the choice of clips.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Measure identification of edited clips: right, wrong and unknown, beside pHash, in one run."""
    _need_torch()
    from export.evaluation import Plan, evaluate_films, table

    result = evaluate_films(Plan(films, unknown, clips, unknown_clips, seconds, edits, baseline, seed))
    if json:
        print_json(result)
    else:
        print(table(result))
    return EXIT_DONE


def _decision(text: str) -> dict[str, Any]:
    try:
        *film, moment_slope, moment_intercept, accept = (float(part) for part in text.split(","))
        _, _ = film
    except ValueError:
        raise InputError(f"--decision {text!r} is not five numbers; for example {DECISION}") from None
    return {"film": film, "moment": [moment_slope, moment_intercept], "accept": accept}


def _need_torch() -> None:
    try:
        import torch  # noqa: F401
    except ImportError:
        raise InputError('this command needs torch; run pip install "vnome[train]"') from None
