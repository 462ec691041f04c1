"""Store the luma frames of a film, cropped, with their times."""

from visualmic.workflow.job import job

with job(snakemake):
    from visualmic.film.decode import FilmFrames
    from visualmic.film.frames import write_frames
    from visualmic.film.metadata import file_sha256
    from visualmic.progress import Progress

    film = FilmFrames(
        snakemake.input.film,
        fps=snakemake.params.fps,
        crop=snakemake.params.crop,
        threads=snakemake.threads,
    )
    facts = {"source_sha256": file_sha256(snakemake.input.film), "crop": film.crop}
    with Progress(f"decode {film.name}", film.frame_count) as progress:
        write_frames(film, snakemake.output[0], facts, progress)
