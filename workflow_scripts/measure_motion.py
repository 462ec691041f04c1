"""Measure what trembled where."""

from visualmic.workflow.job import job

with job(snakemake):
    from visualmic.film.frames import StoredFrames
    from visualmic.motion.pyramid import PyramidSettings, measure_pyramid
    from visualmic.motion.signals import save_motion
    from visualmic.progress import Progress

    frames = StoredFrames(snakemake.input.frames)
    with Progress("measure", frames.frame_count) as progress:
        motion = measure_pyramid(
            frames,
            PyramidSettings(**snakemake.params.settings),
            threads=snakemake.threads,
            progress=progress,
        )
    save_motion(snakemake.output[0], motion)
