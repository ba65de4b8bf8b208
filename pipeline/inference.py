"""ONNX Runtime sessions of bundles."""

import os
from collections.abc import Mapping, Sequence

import onnxruntime

from pipeline.bundles import Bundle
from pipeline.errors import BundleError

CPU_PROVIDER = "CPUExecutionProvider"

Signature = Mapping[str, str]  # name of an input or output -> ONNX Runtime's name of its type


def open_session(bundle: Bundle, threads: int, inputs: Signature, outputs: Signature) -> onnxruntime.InferenceSession:
    """Loads a bundle's model for the best provider there is.

    threads: of one run; 0 lets ONNX Runtime choose.
    Raises BundleError when the model cannot be loaded or has other inputs and outputs than these.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(bundle.model_path), options, providers=providers())
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


def providers() -> list[str]:
    """Execution providers in the order in which they are tried: CUDA where it is, else the CPU."""
    wanted = ("CUDAExecutionProvider", CPU_PROVIDER)
    available: Sequence[str] = onnxruntime.get_available_providers()
    return [name for name in wanted if name in available]


def cpu_workers(threads: int | None) -> int:
    """Threads that share a batch out among them, each running the graph on its part; 1 where a GPU runs it.

    GridSample and many small operators use one thread within a run, so that runs side by side are faster.
    """
    return (threads or os.cpu_count() or 1) if providers() == [CPU_PROVIDER] else 1


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
