"""Join what models said of parts of a recording into one sound."""

from visualmic.workflow.job import job

with job(snakemake):
    from visualmic.audio.wav import write_wav
    from visualmic.film.frames import StoredFrames
    from visualmic.learn.prediction_tables import join_predictions
    from visualmic.motion.methods import even_time

    film = StoredFrames(snakemake.input.frames)
    sound = join_predictions(snakemake.input.predictions, film.frame_count or 0)
    if film.variable_frame_rate:
        sound = even_time(sound, film.time_s(), film.capture_fps)
    write_wav(snakemake.output[0], sound, film.capture_fps)
