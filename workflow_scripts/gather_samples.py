"""Gather the samples of all recordings into SampledData.csv."""

from visualmic.workflow.job import job

with job(snakemake):
    from visualmic.audio.reference import gather_samples

    gather_samples(snakemake.input, snakemake.output[0])
