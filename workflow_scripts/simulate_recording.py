"""Film a simulated object that a known sound shakes."""

from visualmic.workflow.job import job

with job(snakemake):
    from visualmic.simulate.recording import simulate_recording
    from visualmic.simulate.settings import SimulationSettings

    simulate_recording(
        SimulationSettings(**snakemake.params.settings),
        snakemake.output.film,
        snakemake.output.displacement,
    )
