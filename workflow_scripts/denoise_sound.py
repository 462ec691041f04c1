"""Reduce the noise of a recovered sound."""

from visualmic.workflow.job import job

with job(snakemake):
    from visualmic.audio.denoise import DenoiseSettings, denoise
    from visualmic.audio.wav import read_audio, write_wav

    sound, rate = read_audio(snakemake.input.sound)
    settings = DenoiseSettings(**snakemake.params.settings)
    write_wav(snakemake.output[0], denoise(sound, rate, settings), rate)
