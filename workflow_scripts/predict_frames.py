"""Have a model say the sound at the frames that it was not trained on."""

from visualmic.workflow.job import job

with job(snakemake):
    from visualmic.learn.footage import read_footage
    from visualmic.learn.model_file import load_model
    from visualmic.learn.prediction import predict
    from visualmic.learn.prediction_tables import write_predictions
    from visualmic.learn.scoring import tested
    from visualmic.learn.splits import read_split
    from visualmic.progress import Progress

    footage = read_footage(
        snakemake.wildcards.recording, snakemake.input.frames, snakemake.input.heard
    )
    ranges = tested(read_split(snakemake.input.split), footage)
    count = sum(end - begin for begin, end in ranges)
    with Progress(f"predict {footage.name}", count) as progress:
        samples = predict(load_model(snakemake.input.model), footage, ranges, progress)
    write_predictions(snakemake.output[0], footage, ranges, samples)
