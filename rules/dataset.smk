"""The data set: what each recording is, and the sound that was played while it was filmed.

Required: the films, and reference sounds where the recordings table names them.
Gives: dataset/metadata.csv (a row a recording), dataset/{recording}.wav (the reference as it
came), dataset/{recording}_subsampled_-1To1.wav (one sample a frame), and dataset/SampledData.csv
(a row a frame: recording, frame, time_s, amplitude in [-1, 1]).

Each table is gathered from a file per recording, so that a change in one recording leaves the
work done for the others alone.
"""


rule probe_recording:
    input:
        film=lambda wildcards: film_of(wildcards.recording),
    output:
        "<results>/dataset/probes/{recording}.json",
    log:
        "<results>/logs/probe_recording/{recording}.log",
    benchmark:
        "<results>/benchmarks/probe_recording/{recording}.tsv"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        fps=lambda wildcards: RECORDINGS[wildcards.recording].fps,
        offset_s=lambda wildcards: RECORDINGS[wildcards.recording].offset_s,
        role=lambda wildcards: RECORDINGS[wildcards.recording].role,
        code=lambda wildcards: code_of("probe_recording"),
    script:
        "../workflow_scripts/probe_recording.py"


rule gather_metadata:
    input:
        expand("<results>/dataset/probes/{recording}.json", recording=RECORDINGS),
    output:
        report(
            "<results>/dataset/metadata.csv",
            caption="../workflow_scripts/visualmic/captions/metadata.rst",
            category="Recordings",
            labels={"table": "what was filmed"},
        ),
    log:
        "<results>/logs/gather_metadata.log",
    benchmark:
        "<results>/benchmarks/gather_metadata.tsv"
    conda:
        "../envs/core.yaml"
    threads: 1
    params:
        code=lambda wildcards: code_of("gather_metadata"),
    script:
        "../workflow_scripts/gather_metadata.py"


rule extract_reference:
    input:
        sound=lambda wildcards: reference_of(wildcards.recording),
    output:
        "<results>/dataset/{recording}.wav",
    log:
        "<results>/logs/extract_reference/{recording}.log",
    benchmark:
        "<results>/benchmarks/extract_reference/{recording}.tsv"
    wildcard_constraints:
        recording=one_of(REFERENCED),
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        # Only a film's own track depends on how fast the film was captured.
        own_track=lambda wildcards: has_own_track(wildcards.recording),
        fps=lambda wildcards: (
            RECORDINGS[wildcards.recording].fps if has_own_track(wildcards.recording) else None
        ),
        code=lambda wildcards: code_of("extract_reference"),
    script:
        "../workflow_scripts/extract_reference.py"


rule subsample_reference:
    input:
        sound="<results>/dataset/{recording}.wav",
        # The times of the frames: the film's own, or even ones at the capture rate.
        frames="<results>/frames/{recording}.h5",
    output:
        sound="<results>/dataset/{recording}_subsampled_-1To1.wav",
        table="<results>/dataset/samples/{recording}.csv",
    log:
        "<results>/logs/subsample_reference/{recording}.log",
    benchmark:
        "<results>/benchmarks/subsample_reference/{recording}.tsv"
    wildcard_constraints:
        recording=one_of(REFERENCED),
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        offset_s=lambda wildcards: RECORDINGS[wildcards.recording].offset_s,
        code=lambda wildcards: code_of("subsample_reference"),
    script:
        "../workflow_scripts/subsample_reference.py"


rule gather_samples:
    input:
        # Recordings without a reference have nothing to sample.
        expand("<results>/dataset/samples/{recording}.csv", recording=REFERENCED),
    output:
        "<results>/dataset/SampledData.csv",
    log:
        "<results>/logs/gather_samples.log",
    benchmark:
        "<results>/benchmarks/gather_samples.tsv"
    conda:
        "../envs/core.yaml"
    threads: 1
    params:
        code=lambda wildcards: code_of("gather_samples"),
    script:
        "../workflow_scripts/gather_samples.py"
