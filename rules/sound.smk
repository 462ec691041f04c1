"""Local motion to sound, and the sound with its noise reduced.

Required: motion/{method}/{recording}.h5.
Gives: sound/{method}/{recording}.wav and sound/{method}-denoised/{recording}.wav, 16-bit at the
capture rate; diagnostics/{method}/{recording}.json, what the method says of its own measurement.

A sound with its noise reduced is a method of its own from here on: scores, figures and the report
know nothing of how a sound was made.
"""


rule recover_sound:
    input:
        motion=lambda wildcards: (
            f"<results>/motion/{motion_of(wildcards.method)}/{wildcards.recording}.h5"
        ),
        # For the times of the frames, where they are uneven.
        frames="<results>/frames/{recording}.h5",
    output:
        sound="<results>/sound/{method}/{recording}.wav",
        diagnosis="<results>/diagnostics/{method}/{recording}.json",
    log:
        "<results>/logs/recover_sound/{method}/{recording}.log",
    benchmark:
        "<results>/benchmarks/recover_sound/{method}/{recording}.tsv"
    wildcard_constraints:
        method=one_of(RECOVERED),
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        # A job that was killed for its memory gets more when it is tried again.
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=60,
    params:
        settings=lambda wildcards: SETTINGS[motion_of(wildcards.method)]["combine"],
        code=lambda wildcards: code_of("recover_sound", wildcards.method),
    script:
        "../workflow_scripts/recover_sound.py"


rule denoise_sound:
    input:
        sound="<results>/sound/{method}/{recording}.wav",
    output:
        "<results>/sound/{method}-denoised/{recording}.wav",
    log:
        "<results>/logs/denoise_sound/{method}/{recording}.log",
    benchmark:
        "<results>/benchmarks/denoise_sound/{method}/{recording}.tsv"
    wildcard_constraints:
        method=one_of(RECOVERED),
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=SETTINGS["denoise"],
        code=lambda wildcards: code_of("denoise_sound"),
    script:
        "../workflow_scripts/denoise_sound.py"
