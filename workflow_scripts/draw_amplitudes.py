"""Draw each recovered sample against the one that was played."""

from pathlib import Path

from visualmic.workflow.job import job

with job(snakemake):
    from visualmic.evaluate.scores import EvaluationSettings
    from visualmic.film.frames import StoredFrames
    from visualmic.report.figures import align_files, draw_amplitudes

    sounds = align_files(
        dict(zip(snakemake.params.methods, snakemake.input.sounds, strict=True)),
        snakemake.input.reference,
        offset_s=snakemake.params.offset_s,
        fps=StoredFrames(snakemake.input.frames).capture_fps,
        settings=EvaluationSettings(**snakemake.params.settings),
    )
    draw_amplitudes(
        sounds, Path(snakemake.output[0]).with_suffix(""), snakemake.wildcards.recording
    )
