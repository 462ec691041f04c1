"""Draw where in the frame the sound was heard."""

import json
from pathlib import Path

from visualmic.workflow.job import job

with job(snakemake):
    from visualmic.film.frames import StoredFrames
    from visualmic.report.figures import block_grid, draw_heat_map

    frame = next(StoredFrames(snakemake.input.frames).batches(1))[0]
    diagnosis = json.loads(Path(snakemake.input.diagnosis).read_text())
    # Where nothing was heard there are no blocks to show.
    nowhere = {"x_px": [], "y_px": [], "value": [], "size_px": 1, "unit": "dB"}
    heat = diagnosis.get("heat_map", nowhere)
    draw_heat_map(
        frame,
        block_grid(heat["x_px"], heat["y_px"], heat["value"], heat["size_px"], frame.shape),
        Path(snakemake.output[0]).with_suffix(""),
        snakemake.wildcards.recording,
        label=f"Sound over noise ({heat['unit']})",
    )
