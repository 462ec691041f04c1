"""Films of simulated objects that a known sound shakes.

Required: the group simulation of the config; a sound file where one is named there.
Gives: simulated/{recording}.mp4, and beside it the truth: {recording}_truth.wav, the sound that
was played, and {recording}_truth.h5, what moved by how much.

These stand in for films that were shot, so that the whole road runs on any machine, and so that
what was recovered can be held against what was there. Real films skip this stage.
"""


rule simulate_recording:
    input:
        sound=lambda wildcards: played_sound_file(wildcards.recording),
    output:
        film="<results>/simulated/{recording}.mp4",
        sound="<results>/simulated/{recording}_truth.wav",
        displacement="<results>/simulated/{recording}_truth.h5",
    log:
        "<results>/logs/simulate_recording/{recording}.log",
    benchmark:
        "<results>/benchmarks/simulate_recording/{recording}.tsv"
    wildcard_constraints:
        recording=one_of(SIMULATIONS),
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        # A job that was killed for its memory gets more when it is tried again.
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=30,
    params:
        settings=lambda wildcards: SIMULATIONS[wildcards.recording],
        code=lambda wildcards: code_of("simulate_recording"),
    script:
        "../workflow_scripts/simulate_recording.py"
