"""Train one network on one fold; a killed run goes on where it stopped."""

from visualmic.workflow.job import job

with job(snakemake):
    from visualmic.learn.footage import read_footage
    from visualmic.learn.history import write_history
    from visualmic.learn.model_file import save_model
    from visualmic.learn.settings import model_settings
    from visualmic.learn.splits import read_split
    from visualmic.learn.training import forget_checkpoints, train, write_facts

    files, params = snakemake.input, snakemake.params
    recordings = zip(params.recordings, files.frames, files.heard, files.samples, strict=True)
    trained = train(
        model_settings(**params.settings),
        read_split(files.split),
        [read_footage(*recording) for recording in recordings],
        params.checkpoints,
        params.max_lag_s,
    )
    save_model(snakemake.output.model, trained.model)
    write_history(snakemake.output.history, trained.history)
    write_facts(snakemake.output.facts, trained.facts)
    forget_checkpoints(params.checkpoints)
