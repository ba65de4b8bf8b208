"""ONNX Runtime sessions of bundles."""

import math
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import onnxruntime

from pipeline.bundles import Bundle
from pipeline.errors import BundleError
from pipeline.settings import settings

CPU_PROVIDER = "CPUExecutionProvider"
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds in a period, or max, and the period
CPU_INFO = Path("/proc/cpuinfo")
INT8_FEATURES = {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"}  # dot products of 8-bit numbers, on x86 and on ARM

Signature = Mapping[str, str]  # name of an input or output -> ONNX Runtime's name of its type


def open_session(
    bundle: Bundle, threads: int, inputs: Signature, outputs: Signature, int8: bool | None = None
) -> onnxruntime.InferenceSession:
    """Loads a bundle's model for the best provider there is.

    threads: of one run; 0 lets ONNX Runtime choose.
    int8: whether to run the bundle's 8-bit variant, if it has one; default as `VNOME_INT8` says, or where
    `multiplies_bytes`. Never on a GPU.
    Raises BundleError when the model cannot be loaded or has other inputs and outputs than these.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or settings().model_threads() or 0
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(_model_of(bundle, int8)), options, providers=providers())
    except _load_errors() as error:
        reason = str(error).splitlines()[0]
        raise BundleError(f"bundle {bundle.folder}: ONNX Runtime cannot load it ({reason})") from None
    kind = bundle.card["kind"]
    for entries, wanted, noun in (
        (session.get_inputs(), inputs, "inputs"),
        (session.get_outputs(), outputs, "outputs"),
    ):
        found = {entry.name: entry.type for entry in entries}
        if found != wanted:
            raise BundleError(f"bundle {bundle.folder}: {noun} {found} are not those of a bundle of kind {kind!r}")
    return session


def _model_of(bundle: Bundle, int8: bool | None) -> Path:
    chosen = settings().int8_models() if int8 is None else int8
    faster = multiplies_bytes() if chosen is None else chosen
    return (bundle.int8_path if faster and providers() == [CPU_PROVIDER] else None) or bundle.model_path


@cache
def multiplies_bytes(cpu_info: Path = CPU_INFO) -> bool:
    """Whether the processor has dot products of 8-bit numbers; False where it does not tell (not on Linux)."""
    try:
        return bool(INT8_FEATURES & set(cpu_info.read_text(encoding="utf-8", errors="replace").split()))
    except OSError:
        return False


def providers() -> list[str]:
    """Execution providers in the order in which they are tried: CUDA where it is, else the CPU."""
    wanted = ("CUDAExecutionProvider", CPU_PROVIDER)
    available: Sequence[str] = onnxruntime.get_available_providers()
    return [name for name in wanted if name in available]


def cpu_workers(threads: int | None) -> int:
    """Threads that share a batch out among them, each running the graph on its part; 1 where a GPU runs it.

    GridSample and many small operators use one thread within a run, so that runs side by side are faster.
    """
    return (threads or settings().model_threads() or usable_cpus()) if providers() == [CPU_PROVIDER] else 1


def usable_cpus(quota: Path = CPU_QUOTA) -> int:
    """Processors that this process may keep busy: fewer than the machine's where it is bound, or in a container."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        most, period = quota.read_text(encoding="ascii").split()
        return max(1, min(bound, math.ceil(int(most) / int(period))))
    except (OSError, ValueError):  # no cgroup of its own, or no limit
        return bound


def _load_errors() -> tuple[type[Exception], ...]:
    state = onnxruntime.capi.onnxruntime_pybind11_state
    return (
        state.Fail,
        state.InvalidProtobuf,
        state.InvalidGraph,
        state.NoSuchFile,
        state.InvalidArgument,
        state.NotImplemented,
        state.RuntimeException,
    )
