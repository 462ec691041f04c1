"""Everything to the page that people look at and listen to.

Required: the tables, sounds, reference sounds, scores, figures and, for the first picture of each
film, the frames.
Gives: report.html, one file that opens without a network (with the folder report_files beside it
when it would be larger than 25 MB).
"""


rule make_report:
    input:
        "<results>/dataset/metadata.csv",
        "<results>/scores.csv",
        expand("<results>/frames/{recording}.h5", recording=RECORDINGS),
        expand("<results>/sound/{method}/{recording}.wav", method=METHODS, recording=RECORDINGS),
        expand("<results>/dataset/{recording}_subsampled_-1To1.wav", recording=REFERENCED),
        expand("<results>/scores/{method}/{recording}.json", method=METHODS, recording=REFERENCED),
        # What each method says of its own measurement; it says nothing new of a denoised sound.
        expand(
            "<results>/diagnostics/{method}/{recording}.json", method=BASES, recording=RECORDINGS
        ),
        ["<results>/models.csv"] if MODELS else [],
        METRICS,
        FIGURES,
    output:
        report(
            "<results>/report.html",
            caption="../workflow_scripts/visualmic/captions/report.rst",
            category="Report",
            labels={"page": "to look at and listen to"},
        ),
    log:
        "<results>/logs/make_report.log",
    benchmark:
        "<results>/benchmarks/make_report.tsv"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        results=lambda wildcards, output: os.path.dirname(output[0]),
        # The page states the settings that made what it shows.
        settings={name: SETTINGS[name] for name in sorted(SETTINGS)},
        command=REMAKE,
        code=lambda wildcards: code_of("make_report"),
    script:
        "../workflow_scripts/make_report.py"
