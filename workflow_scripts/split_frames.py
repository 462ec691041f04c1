"""Say which frames of each recording train, choose and test the models of a fold."""

from pathlib import Path

from visualmic.workflow.job import job

with job(snakemake):
    from visualmic.film.frames import StoredFrames
    from visualmic.learn.settings import SplitSettings
    from visualmic.learn.splits import Film, make_split, write_split

    stores = {Path(path).stem: StoredFrames(path) for path in snakemake.input}
    films = {
        name: Film(stores[name].frame_count or 0, stores[name].capture_fps, role)
        for name, role in snakemake.params.roles.items()
    }
    settings = SplitSettings(**snakemake.params.settings)
    write_split(snakemake.output[0], make_split(films, snakemake.wildcards.fold, settings))
