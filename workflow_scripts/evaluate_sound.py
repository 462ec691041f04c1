"""Score a recovered sound against what was played."""

from visualmic.workflow.job import job

with job(snakemake):
    from visualmic.audio.wav import read_audio
    from visualmic.evaluate.scores import EvaluationSettings, score, write_scores
    from visualmic.film.frames import StoredFrames

    sound, _ = read_audio(snakemake.input.sound)
    scores = score(
        sound,
        StoredFrames(snakemake.input.frames).capture_fps,
        *read_audio(snakemake.input.reference),
        offset_s=snakemake.params.offset_s,
        settings=EvaluationSettings(**snakemake.params.settings),
    )
    write_scores(
        snakemake.output[0],
        scores,
        recording=snakemake.wildcards.recording,
        method=snakemake.wildcards.method,
    )
