"""Combine local motion into one sound."""

from visualmic.workflow.job import job

with job(snakemake):
    from visualmic.audio.wav import write_wav
    from visualmic.motion.pyramid import PyramidSettings, combine_pyramid
    from visualmic.motion.signals import load_motion

    motion = load_motion(snakemake.input.motion)
    sound = combine_pyramid(motion, PyramidSettings(**snakemake.params.settings))
    write_wav(snakemake.output[0], sound, motion.capture_fps)
