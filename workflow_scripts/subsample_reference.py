"""Sample the sound that was played once a frame."""

from visualmic.workflow.job import job

with job(snakemake):
    from visualmic.audio.reference import subsample_to_frames, write_subsampled
    from visualmic.audio.wav import read_audio
    from visualmic.film.frames import StoredFrames

    frames = StoredFrames(snakemake.input.frames)
    write_subsampled(
        snakemake.wildcards.recording,
        subsample_to_frames(
            *read_audio(snakemake.input.sound),
            frames.time_s(),
            offset_s=snakemake.params.offset_s,
            name=snakemake.input.sound,
        ),
        frames.time_s(),
        frames.capture_fps,
        snakemake.output.table,
        snakemake.output.sound,
    )
