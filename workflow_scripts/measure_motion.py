"""Measure what trembled where."""

from visualmic.workflow.job import job

with job(snakemake):
    import tempfile
    from pathlib import Path

    from visualmic.film.frames import StoredFrames
    from visualmic.motion.methods import method_named
    from visualmic.motion.signals import save_motion
    from visualmic.progress import Progress

    method = method_named(snakemake.wildcards.method)
    frames = StoredFrames(snakemake.input.frames)
    with (
        tempfile.TemporaryDirectory() as folder,
        Progress(f"measure {method.name}", frames.frame_count) as progress,
    ):
        motion = method.measure(
            frames,
            method.measure_settings(**snakemake.params.settings),
            threads=snakemake.threads,
            spool=Path(folder, "motion.h5"),
            progress=progress,
        )
        save_motion(snakemake.output[0], motion)
