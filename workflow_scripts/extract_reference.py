"""Extract the sound that was played: a sound file, or the film's own track in real time."""

from visualmic.workflow.job import job

with job(snakemake):
    from visualmic.audio.reference import extract_reference
    from visualmic.film.probe import probe_film

    extract_reference(
        snakemake.input.sound,
        snakemake.output[0],
        info=probe_film(snakemake.input.sound, snakemake.params.fps)
        if snakemake.params.own_track
        else None,
    )
