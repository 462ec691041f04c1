"""The files of the hybrid's networks, and what their training took."""

import json
from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
"""The folder of the shipped ones."""

RESPONSE, MASK, FACTS = "response.onnx", "mask.onnx", "training.json"


def training_cost(folder: Path = WEIGHTS) -> dict[str, float]:
    """Tell how many ``parameters`` the networks in `folder` have, and their ``training_s``."""
    noted = json.loads((folder / FACTS).read_text()).values()
    return {name: sum(part[name] for part in noted) for name in ("parameters", "training_s")}
