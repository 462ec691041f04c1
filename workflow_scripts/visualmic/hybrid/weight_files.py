"""The files of the hybrid's networks, and what their training took."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from visualmic.errors import VisualMicError

WEIGHTS = Path(__file__).parent / "weights"
"""The folder of the shipped ones."""

RESPONSE, MASK, FACTS = "response.onnx", "mask.onnx", "training.json"


def training_cost(folder: Path = WEIGHTS) -> dict[str, float]:
    """Tell how many ``parameters`` the networks in `folder` have, and their ``training_s``."""
    noted = json.loads((folder / FACTS).read_text()).values()
    return {name: sum(part[name] for part in noted) for name in ("parameters", "training_s")}


@cache
def network(name: str, folder: Path) -> Any:
    """Open a network of `folder` on onnxruntime.

    Raises
    ------
    VisualMicError
        If it is not there.
    """
    import onnxruntime

    path = folder / name
    if not path.exists():
        raise VisualMicError(
            f"the weights of the hybrid, {path}, are missing: install the project again, or use"
            " --method lucas-kanade"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 0
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
