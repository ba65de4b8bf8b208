"""`vnome train`, `vnome score`, `vnome export` and `vnome evaluate`. torch is imported only when one of them runs."""

from dataclasses import replace
from enum import StrEnum
from json import dumps, loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from pipeline.console import print_json, progress_bar
from pipeline.errors import EXIT_DONE, InputError
from pipeline.folders import make_folder

if TYPE_CHECKING:
    from export.data import Moments
    from export.networks.sparse_hash import SparseHashNetwork
    from export.training import Trainer
    from pipeline.encoder import FrameEncoder

# Slope and intercept of the film's odds, of the moment's, and the least confidence. The film's were set on held-out
# films, where unrelated ones reached 29 nats; a fitted slope has no end where the classes do not overlap. The moment's
# were raised by hand on phone clips of indexed films, where wrong moments of still scenes reached 3.7 nats.
DECISION = "0.25,-8.5,1,-2.2,0.85"
QUALITY_STRENGTHS = (0.4, 1.0, 1.5)  # of the camera, that the card reports code quality at
HELD_OUT_SHARE = 0.1  # of the films, never trained on: they calibrate margins and are what the card reports


class Learning(StrEnum):
    """What can be trained. All but the first two are tasks of `export.tasks`."""

    ENCODER = "encoder"
    DETECTOR = "detector"
    RECOGNISER = "recogniser"
    MNIST = "mnist"
    CIFAR10 = "cifar10"
    MEMBRANES = "membranes"


class Preset(StrEnum):
    """How long and how wide: for a few CPU cores, or with larger batches and more steps for a GPU."""

    CPU = "cpu"
    GPU = "gpu"


def train(
    out: Annotated[Path, typer.Option(help="Folder of the run; a run that stopped there goes on.", show_default=False)],
    films: Annotated[
        Path | None, typer.Option(help="Folder of films to train on (encoder, detector, recogniser).")
    ] = None,
    task: Annotated[Learning, typer.Option("--task", "--model", help="What to learn.")] = Learning.ENCODER,
    data: Annotated[
        Path | None, typer.Option(help="Folder of the public sets (all tasks but the detector; encoder: to see more).")
    ] = None,
    stills: Annotated[Path | None, typer.Option(help="Folder of photographs, shown as slow pans.")] = None,
    rooms: Annotated[Path | None, typer.Option(help="Folder of photographs without a screen (detector).")] = None,
    televisions: Annotated[
        Path | None, typer.Option(help="CSV of corners beside a folder of photographs of televisions (detector).")
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="Folder of photographs of other screens and what they showed (detector).")
    ] = None,
    preset: Annotated[Preset, typer.Option(help="Length and batch size.")] = Preset.CPU,
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps.  [default: the preset's]")] = None,
    start: Annotated[Path | None, typer.Option(metavar="BUNDLE", help="Go on from the weights of this bundle.")] = None,
    seed: Annotated[int, typer.Option(help="Of all random choices.")] = 0,
    device: Annotated[str | None, typer.Option(help="cpu or cuda.  [default: the preset's]")] = None,
) -> int:
    """Train a network: one of VNOME's own, or on a benchmark. From scratch, or from where a run stopped."""
    _need_torch()
    on = device or ("cuda" if preset is Preset.GPU else "cpu")
    if task not in (Learning.ENCODER, Learning.DETECTOR):
        _run(_task_trainer(task, data, films, preset, steps, start, seed, on, out))
        print(
            f"trained: {out}; see how well with vnome score {out} --data {data}"
            + (f" --films {films}" if films else "")
        )
        return EXIT_DONE
    if films is None:
        raise InputError(f"the {task.value} needs --films, a folder of films; see vnome train --help")
    if task is Learning.DETECTOR:
        trainer = _detector_trainer(films, stills, rooms, televisions, pairs, preset, steps, start, seed, on, out)
    else:
        trainer = _hash_trainer(films, stills, data, preset, steps, start, seed, on, out)
    _run(trainer)
    print(f"trained: {out}; make the bundle with vnome export {out} --films {films} --out FOLDER")
    return EXIT_DONE


def _task_trainer(
    task: Learning, data: Path | None, films: Path | None, preset: Preset, steps: int | None, start: Path | None,
    seed: int, device: str, out: Path,
) -> "Trainer":  # fmt: skip
    from export.task import Sources
    from export.tasks import TASKS

    if start is not None:
        raise InputError("--start is for the encoder and the detector; this task starts from scratch")
    return TASKS[task.value].trainer(Sources(data, films), preset, steps, seed, device, out)


def score(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of runs of one task.", show_default=False)
    ],
    data: Annotated[Path | None, typer.Option(help="Folder of the public sets.")] = None,
    films: Annotated[Path | None, typer.Option(help="Folder of films (recogniser).")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Score trained networks on what they never saw, each on its own and together as a committee."""
    _need_torch()
    from export.task import Sources, score_table
    from export.tasks import TASKS
    from export.training import load_checkpoint

    names = [load_checkpoint(run)["config"].get("task") for run in runs]
    if len(set(names)) > 1 or names[0] not in TASKS:
        raise InputError(
            f"{', '.join(map(str, runs))}: these are not runs of one task; give runs of one of {', '.join(TASKS)}"
        )
    task = TASKS[names[0]]
    scores = {"published": task.published, **task.score(runs, Sources(data, films))}
    if json:
        print_json(scores)
    else:
        print(score_table(scores))
    return EXIT_DONE


def _hash_trainer(
    films: Path, stills: Path | None, data: Path | None, preset: Preset, steps: int | None, start: Path | None,
    seed: int, device: str, out: Path,
) -> "Trainer":  # fmt: skip
    from export.data import films_in, held_out, load_moments, stills_in, thumbs_of
    from export.encoder_bundle import network_of
    from export.hash_training import HashTrainer, preset_config
    from export.labelled import tiny_imagenet
    from export.networks.sparse_hash import grown
    from pipeline.bundles import load_bundle
    from pipeline.encoder import ENCODER

    paths, photographs = films_in(films), stills_in(stills) if stills else []
    bundle = load_bundle(start, ENCODER) if start else None
    config, network = preset_config(preset, steps, seed, bundle.sha256 if bundle else ""), None
    if bundle:
        try:
            network = grown(network_of(bundle), config.network)
        except ValueError:
            raise InputError(
                f"--start {start}: its network does not fit into the preset's; leave --start out"
            ) from None
    print(f"reading {len(paths)} films and {len(photographs)} photographs")
    moments = load_moments(paths, photographs)
    training = moments.of_films(~held_out(moments.names, HELD_OUT_SHARE))
    pictures = thumbs_of(tiny_imagenet(data, "train").pictures) if data else None
    config = replace(config, single_pictures=0 if pictures is None else len(pictures))
    return HashTrainer(config, training, out, device, network, pictures)


def _detector_trainer(
    films: Path, stills: Path | None, rooms: Path | None, televisions: Path | None, pairs: Path | None, preset: Preset,
    steps: int | None, start: Path | None, seed: int, device: str, out: Path,
) -> "Trainer":  # fmt: skip
    from export.detector_bundle import network_of
    from export.detector_training import DetectorTrainer, preset_config
    from export.scene_data import load_scene_sources
    from pipeline.bundles import load_bundle
    from pipeline.detector import DETECTOR

    stills, rooms, televisions = _scene_folders(stills, rooms, televisions)
    print(f"reading films of {films} and photographs of {stills}, {rooms} and {televisions}")
    training, _ = load_scene_sources(films, stills, rooms, televisions, pairs)
    bundle = load_bundle(start, DETECTOR) if start else None
    config, network = preset_config(preset, steps, seed, bundle.sha256 if bundle else ""), None
    if bundle:
        network = network_of(bundle).train()
        config = replace(config, network=network.config)
    return DetectorTrainer(config, training, out, device, start=network)


def _scene_folders(stills: Path | None, rooms: Path | None, televisions: Path | None) -> tuple[Path, Path, Path]:
    for name, given in (("--stills", stills), ("--rooms", rooms), ("--televisions", televisions)):
        if given is None:
            raise InputError(f"the detector needs {name} as well; see vnome train --help")
    assert stills and rooms and televisions  # noqa: S101  just checked, for the type checker
    return stills, rooms, televisions


def _run(trainer: "Trainer") -> None:
    from export.training import Progress

    recent: list[float] = []
    steps = trainer.config.steps
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
    rooms: Annotated[Path | None, typer.Option(help="Folder of photographs without a screen (detector).")] = None,
    televisions: Annotated[Path | None, typer.Option(help="CSV of corners of televisions (detector).")] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="Folder of photographs of other screens and what they showed, to measure on.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the public sets (recogniser).")] = None,
    decision: Annotated[
        str,
        typer.Option(metavar="A,B,C,D,ACCEPT", help="Slopes and intercepts, as vnome evaluate fits them."),
    ] = DECISION,
    json: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
) -> int:
    """Export a trained network to an ONNX bundle with its card, and check it against torch.

    Of an encoder's bundle the model stays as it is, and what its card says of evidence and decision is measured anew.
    Of a detector's bundle the graph is made, calibrated and measured anew, in whole numbers too, from the same weights.
    """
    _need_torch()
    from pipeline.bundles import MODEL_FILE

    run = {} if (source / MODEL_FILE).is_file() else _run_config(source)
    if run.get("task") == Learning.RECOGNISER:
        written = _export_recogniser(source, run, data, films, out)
    elif "task" in run:
        raise InputError(
            f"{source} is a run of the benchmark {run['task']}, of which no bundle is made; vnome score scores it"
        )
    elif "pictures" in run or _is_detector(source):
        written = _export_detector(source, films, _scene_folders(stills, rooms, televisions), pairs, out)
    else:
        written = _export_encoder(source, films, stills, pairs, _decision(decision), out)
    if json:
        print_json(written)
    else:
        difference = next(f"{key.removeprefix('parity_')} {written[key]:.1e}" for key in written if "parity_" in key)
        print(f"{out}: {written['bytes']} bytes, against torch {difference.replace('_', ' ')}")
    return EXIT_DONE


def _run_config(run: Path) -> dict[str, Any]:
    from export.training import load_checkpoint

    config: dict[str, Any] = load_checkpoint(run)["config"]
    return config


def _export_recogniser(run: Path, config: dict[str, Any], data: Path | None, films: Path, out: Path) -> dict[str, Any]:
    from export.classifier_training import load_classifier
    from export.plots import draw_reliability
    from export.recogniser_bundle import write_recogniser
    from export.recogniser_task import unseen_data
    from export.task import Sources

    card = {
        "name": "recogniser-mpcnn",
        "training": {
            "command": f"vnome train --task recogniser --data DATA --films FILMS --steps {config['steps']} "
            f"--seed {config['seed']}",
            "config": config,
            "data": "a part of Tiny ImageNet, CIFAR-10, and clips of public research collections that were judged by "
            "eye (export/film_labels.tsv), not part of this repository; a tenth of the clips held out",
        },
    }
    written = write_recogniser(load_classifier(run), unseen_data(Sources(data, films)), card, out)
    draw_reliability(written["quality"]["reliability"], out / "reliability.png")
    return written


def _is_detector(source: Path) -> bool:
    from pipeline.bundles import CARD_FILE
    from pipeline.detector import DETECTOR

    try:
        return bool(loads((source / CARD_FILE).read_text(encoding="utf-8")).get("kind") == DETECTOR)
    except (OSError, ValueError, AttributeError):
        return False


def _export_detector(
    source: Path, films: Path, folders: tuple[Path, Path, Path], pairs: Path | None, out: Path
) -> dict[str, Any]:
    from export.detector_bundle import network_of, write_detector
    from export.detector_training import load_detector
    from export.scene_data import load_scene_sources
    from pipeline.bundles import load_bundle
    from pipeline.detector import DETECTOR

    bundle = load_bundle(source, DETECTOR) if _is_detector(source) else None
    network = network_of(bundle) if bundle else load_detector(source)
    _, unseen = load_scene_sources(films, *folders, pairs)
    if not unseen.films or not unseen.rooms:
        raise InputError(f"no film or room of {films} and {folders[1]} is held out; give the folders of the training")
    training = bundle.section("training") if bundle else _detector_training(source, pairs is not None)
    return write_detector(network, unseen, {"name": "screen-mpcnn", "training": training}, out)


def _detector_training(run: Path, with_pairs: bool) -> dict[str, Any]:
    """What the card says of a run of training."""
    config = _run_config(run)
    command = "vnome train --model detector --films FILMS --stills STILLS --rooms ROOMS --televisions CSV"
    command += " --pairs PAIRS" if with_pairs else ""
    others = " and 176 of other screens" if with_pairs else ""
    return {
        "command": f"{command} --steps {config['steps']} --seed {config['seed']}" + _started_from(config),
        "config": config,
        "data": "simulated scenes of 371 clips, 1,460 photographs and 196 rooms, and 222 photographs of "
        f"televisions{others}, of public research collections, not part of this repository; a part of each held out",
    }


def _export_encoder(
    source: Path, films: Path, stills: Path | None, pairs: Path | None, rule: dict[str, Any], out: Path
) -> dict[str, Any]:
    from export.bundling import add_to_card, copy_bundle
    from export.data import films_in, held_out, load_moments, stills_in
    from export.evidence_fit import measure_evidence
    from pipeline.bundles import MODEL_FILE, load_bundle
    from pipeline.encoder import ENCODER, Encoder

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
    if pairs:
        add_to_card(out, {"real_screens": _on_real_screens(encoder, pairs, photographs)})
    return add_to_card(out, {"decision": rule, "evidence": measure_evidence(encoder, unseen, world, seed=1)})


def _on_real_screens(encoder: "FrameEncoder", folder: Path, photographs: list[Path]) -> dict[str, Any]:
    """Codes of real photographs of screens, by their true corners, by the detector's, and of the whole photograph."""
    from export.pair_check import check_pairs
    from export.pairs import read_pairs, read_picture
    from export.scene_data import held_out_pairs
    from pipeline.detector import default_detector
    from pipeline.encoder import whole_picture

    pairs, others = read_pairs(folder), [read_picture(path) for path in photographs]
    unseen = held_out_pairs(pairs)
    found = default_detector().detect([pair.photo for pair in unseen])
    return {
        "true_corners": check_pairs(encoder, pairs, others),
        "true_corners_of_those": check_pairs(encoder, unseen, others),
        "by_the_detector": check_pairs(encoder, unseen, others, [sighting.corners for sighting in found]),
        "whole_photographs": check_pairs(encoder, unseen, others, [whole_picture(pair.photo) for pair in unseen]),
    }


def _trained(run: Path) -> "SparseHashNetwork":
    from export.hash_training import load_network

    return load_network(run)


def _write_run(network: "SparseHashNetwork", run: Path, unseen: "Moments", out: Path) -> None:
    """Calibrates the network of a run on films that it never saw, and writes its bundle."""
    from export.calibration import CALIBRATION_STRENGTH, calibrate_margins, code_quality, net_inputs
    from export.encoder_bundle import write_encoder
    from export.training import load_checkpoint

    config = load_checkpoint(run)["config"]
    pairs = net_inputs(network, unseen, CALIBRATION_STRENGTH, seed=1)
    more = config.get("single_pictures", 0)
    sets = " --data SETS" if more else ""
    command = f"vnome train --films FILMS --stills STILLS{sets} --steps {config['steps']} --seed {config['seed']}"
    card: dict[str, Any] = {
        "name": "sparse-hash-32",
        "training": {
            "command": command + _started_from(config),
            "config": config,
            "data": "371 clips and 1,460 photographs"
            + (f", and {more:,} pictures of Tiny ImageNet, all" if more else "")
            + " of public research collections, not part of this repository",
        },
        "quality": {
            "on": f"{len(set(unseen.film.tolist()))} films that training never saw, {len(unseen)} moments",
            **{
                f"camera_{strength}": code_quality(net_inputs(network, unseen, strength, seed=2), unseen.film)
                for strength in QUALITY_STRENGTHS
            },
        },
    }
    write_encoder(network, calibrate_margins(pairs), card, out)


def _started_from(config: dict[str, Any]) -> str:
    """The part of a run's command that names the bundle whose weights it started from."""
    return f" --start BUNDLE (sha256 {config['start']})" if config.get("start") else ""


def evaluate(
    films: Annotated[Path, typer.Option(help="Folder of films to index.", show_default=False)],
    unknown: Annotated[Path, typer.Option(help="Folder of films that are not indexed.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Folder for report.json and the plots.")] = None,
    levels: Annotated[
        list[str] | None, typer.Option("--level", help="Of the phone: easy, hard, severe or none; may be repeated.")
    ] = None,
    edits: Annotated[
        list[str] | None, typer.Option("--edit", help="Only this plain edit, or none; may be repeated.")
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="Clips for each level and edit.")] = 40,
    unknown_clips: Annotated[int, typer.Option(min=0, help="Clips of films that are not indexed, a level.")] = 40,
    recordings: Annotated[
        Path | None,
        typer.Option(help="Folder that keeps what the phone filmed, for the next run.  [default: within --out]"),
    ] = None,
    baselines: Annotated[bool, typer.Option(help="Also pHash, LSH, ITQ, PDQ and the unrectified picture.")] = True,
    seed: Annotated[int, typer.Option(help="Of the choice of clips and rooms.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Measure identification through a virtual phone and after plain edits, beside baselines, on the same clips."""
    _need_torch()
    from export.edits import EDITS
    from export.evaluation import OURS, Plan, evaluate_films
    from export.recordings import LEVELS
    from export.report import table

    chosen = [name for name in edits if name != "none"] if edits else list(EDITS)
    filmed = [level for level in levels if level != "none"] if levels else list(LEVELS)
    kept = recordings or (out / "recordings" if out else None)
    plan = Plan(films, unknown, chosen, filmed, clips, unknown_clips, kept, baselines, seed)
    result = evaluate_films(plan)
    if out:
        from export.plots import draw_all
        from pipeline.detector import default_detector

        make_folder(out)
        (out / "report.json").write_text(dumps(result, indent=1) + "\n", encoding="utf-8")
        draw_all(result, out, OURS, default_detector())
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
