"""Plots of the benchmarks."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt


def index_plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Time of looking up 25 frames against the size of the index, ours and the peers'; and what is found."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure, (times, found) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    sizes = [row["postings"] for row in rows]
    for name in rows[0]["codes"]:
        with_it = [row for row in rows if name in row["codes"]]
        ours = name.startswith("VNOME")
        times.plot(
            [row["postings"] for row in with_it],
            [row["codes"][name]["ms"]["p50"] for row in with_it],
            marker="o",
            linestyle="-" if ours else "--",
            label=f"{name} ({with_it[-1]['codes'][name]['hits']:.0%} of frames hit)",
        )
    times.set(xscale="log", yscale="log", xlabel="postings", ylabel="ms for 25 frames, p50", title="Looking up codes")
    times.legend(fontsize=6)
    found.plot(sizes, [row["right"] / row["known"] for row in rows], marker="o", label="hidden films found")
    found.plot(sizes, [row["wrong"] / row["known"] for row in rows], marker="o", label="wrong")
    if rows[0]["unknown"]:
        alarms = [row["false_alarms"] / row["unknown"] for row in rows]
        found.plot(sizes, alarms, marker="o", label="films that are not there, accepted")
    found.set(xscale="log", ylim=(-0.02, 1.02), xlabel="postings", ylabel="share of clips", title="What is answered")
    found.legend(fontsize=7)
    figure.savefig(path, dpi=130)
    plt.close(figure)
