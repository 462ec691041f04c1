"""From films of trembling things to the sounds that shook them.

    snakemake --cores 8                                       everything in config.yaml
    snakemake --cores 8 results/sound/pyramid/packet.wav      one file and what it needs
    snakemake --cores 8 --configfile examples/tuning_forks/config.yaml
    snakemake --cores 1 verify                                is every file still what was made?

Each file under rules/ is one stage, in the order in which the data flow. What the rules need
while the job graph is built (checked settings, the recordings) is in rules/common.smk, and
docs/architecture.md has a section on every rule.
"""

import sys

from snakemake.utils import min_version

min_version("9.20")

# The library beside this file is used, whatever else is installed.
sys.path.insert(0, f"{workflow.basedir}/workflow_scripts")


configfile: f"{workflow.basedir}/config.yaml"


include: "rules/common.smk"
include: "rules/simulate.smk"
include: "rules/dataset.smk"
include: "rules/frames.smk"
include: "rules/motion.smk"
include: "rules/sound.smk"
include: "rules/learn.smk"
include: "rules/scores.smk"
include: "rules/figures.smk"
include: "rules/report.smk"
include: "rules/verify.smk"


localrules:
    all,
    gather_metadata,
    gather_samples,
    gather_scores,
    verify,


rule all:
    default_target: True
    input:
        "<results>/dataset/metadata.csv",
        "<results>/dataset/SampledData.csv",
        expand("<results>/sound/{method}/{recording}.wav", method=METHODS, recording=RECORDINGS),
        "<results>/scores.csv",
        # Nothing is trained where no model is among the methods.
        ["<results>/models.csv"] if MODELS else [],
        "<results>/report.html",
