"""Combine local motion into one sound, and say how far it can be believed."""

from visualmic.workflow.job import job

with job(snakemake):
    from visualmic.audio.wav import write_wav
    from visualmic.film.frames import StoredFrames
    from visualmic.motion.methods import even_time, method_named
    from visualmic.motion.recovery import write_diagnosis
    from visualmic.motion.signals import load_motion

    method = method_named(snakemake.wildcards.method)
    recovery = method.combine(
        load_motion(snakemake.input.motion), method.combine_settings(**snakemake.params.settings)
    )
    frames = StoredFrames(snakemake.input.frames)
    if frames.variable_frame_rate:
        recovery.sound = even_time(recovery.sound, frames.time_s(), recovery.capture_fps)
    write_wav(snakemake.output.sound, recovery.sound, recovery.capture_fps)
    write_diagnosis(snakemake.output.diagnosis, recovery)
