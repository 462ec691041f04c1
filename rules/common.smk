"""What the rules need while the job graph is built.

Required: config, merged by Snakemake from config.yaml, --configfile and --config.
Gives: SETTINGS, RECORDINGS and SIMULATIONS, all checked; METHODS, the folders under sound/, of which
MODELS are trained; FOLDS, what they are trained and tested on; and functions that look up what one recording or one method needs, so that a job's parameters hold only
what that job uses and a change elsewhere leaves it alone.
"""

import os
import re
import sys
from pathlib import Path

from visualmic.config.loading import load_plan
from visualmic.config.recordings import OWN_TRACK, SIMULATED
from visualmic.errors import VisualMicError
from visualmic.learn.settings import MODELS as LEARNABLE, SplitSettings, network_of
from visualmic.learn.splits import fold_names, segment_folds
from visualmic.simulate.settings import SOUNDS
from visualmic.workflow.code import code_digest
from visualmic.workflow.job import adopt_jobs
from visualmic.workflow.locks import release_stale_locks

# A job is this process' own child, not a shell's, so that it ends when this process is killed.
shell.prefix("set -euo pipefail; exec ")
adopt_jobs(f"{workflow.basedir}/workflow_scripts")

# A job on a cluster is a Snakemake too, whose locks are those of the run that submitted it.
if workflow.is_main_process and release_stale_locks():
    logger.info("Removed the locks of a run that was killed.")

try:
    PLAN = load_plan(config, [f"{workflow.basedir}/config.yaml", *workflow.overwrite_configfiles])
except VisualMicError as error:
    # Raised further, the message would come with lines of this file that say nothing to a user.
    sys.exit(str(error))

SETTINGS, RECORDINGS, SIMULATIONS = PLAN.settings, PLAN.recordings, PLAN.simulations
METHODS = PLAN.methods
if workflow.is_main_process and METHODS != SETTINGS["methods"]:
    logger.info("No recording has the role train and a reference: no model is trained.")
# Methods that are trained, and those that are not.
MODELS = [name for name in METHODS if name in LEARNABLE]
CLASSICAL = [name for name in METHODS if name not in LEARNABLE]
# Rules that serve several methods use these modules for each, and not those of the others.
METHOD_MODULES = {
    ("measure_motion", "pyramid"): {"visualmic.motion.pyramid"},
    ("recover_sound", "pyramid"): {"visualmic.motion.pyramid"},
    ("measure_motion", "lucas-kanade"): {"visualmic.motion.lucas_kanade"},
    ("recover_sound", "lucas-kanade"): {"visualmic.motion.hearing"},
    ("recover_sound", "hybrid"): {"visualmic.motion.hearing", "visualmic.hybrid.enhance"},
}
# What rules use besides Python modules.
RULE_DATA = {
    "make_report": ("report/**/*.html", "report/**/*.css", "report/**/*.js"),
    ("recover_sound", "hybrid"): ("hybrid/weights/*.onnx",),
    "tabulate_models": ("hybrid/weights/training.json",),
}
MEASURED = sorted(method for rule, method in METHOD_MODULES if rule == "measure_motion")
RECOVERED = sorted(method for rule, method in METHOD_MODULES if rule == "recover_sound")
BASES = [name for name in RECOVERED if {name, f"{name}-denoised"} & set(METHODS)]
# How to make one file again, as the report tells it.
CONFIGFILES = [os.path.relpath(path) for path in workflow.overwrite_configfiles]
REMAKE = " ".join(
    ["snakemake --cores all", *(["--configfile", *CONFIGFILES, "--"] if CONFIGFILES else [])]
)
REFERENCED = [name for name, recording in RECORDINGS.items() if recording.reference]
LEARN = SETTINGS["learn"]
# Whose frames the splits divide: recordings of the role test are left for the end.
LEARNT = [name for name in REFERENCED if RECORDINGS[name].role != "test"]
TRAINED = [name for name in LEARNT if RECORDINGS[name].role == "train"]
FOLDS = fold_names(SplitSettings(**LEARN["splits"]), TRAINED)
METRICS = expand("<results>/models/{model}/{fold}/metrics.json", model=MODELS, fold=FOLDS)
SEGMENTS = segment_folds(LEARN["splits"]["folds"])


def one_of(names):
    """Give the pattern of a wildcard that is one of some names; no names match nothing."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def film_of(recording):
    """Find the film of a recording: where it was shot, or where it will be simulated."""
    return RECORDINGS[recording].film or f"<results>/simulated/{recording}.mp4"


def reference_of(recording):
    """Find the file that holds the sound that was played."""
    reference = RECORDINGS[recording].reference
    if reference == SIMULATED:
        return f"<results>/simulated/{recording}_truth.wav"
    return film_of(recording) if has_own_track(recording) else reference


def has_own_track(recording):
    """Say whether the sound that was played is the film's own track."""
    return RECORDINGS[recording].reference == OWN_TRACK


def played_sound_file(recording):
    """Find the sound file that drives a simulation; none where the sound is made there too."""
    sound = SIMULATIONS[recording]["sound"]
    return [] if sound in SOUNDS else sound


def code_of(rule, method=None):
    """Digest the code that a rule uses, and that of one method where the rule serves several."""
    others = set().union(*METHOD_MODULES.values()) - METHOD_MODULES[rule, method] if method else ()
    return code_digest(
        Path(workflow.basedir, "workflow_scripts", f"{rule}.py"),
        without=frozenset(others),
        data=RULE_DATA.get((rule, method) if method else rule, ()),
    )


def motion_of(method):
    """Name the method whose motion signals a method combines."""
    return "lucas-kanade" if method == "hybrid" else method


def learnt_in(fold):
    """List the recordings that a fold looks at before its models are tested."""
    return [name for name in LEARNT if fold != f"without-{name}"]


def predictions_of(model, recording):
    """Find what is joined into the sound of a recording: each frame by a model new to it."""
    folds = SEGMENTS if recording in TRAINED else ["later"]
    return [f"<results>/predictions/{model}/{fold}/{recording}.csv" for fold in folds]


def tested_predictions(models):
    """List the predictions that models are scored by."""
    tested = [(fold, name) for fold in FOLDS for name in tested_in(fold)]
    tested += [("later", name) for name in REFERENCED if name not in LEARNT]
    return [
        f"<results>/predictions/{model}/{fold}/{recording}.csv"
        for model in models
        for fold, recording in tested
    ]


def tested_in(fold):
    """List the recordings that a fold tests."""
    return [fold.removeprefix("without-")] if fold.startswith("without-") else TRAINED


def network_settings(model):
    """Look up all that a model is made and trained with."""
    return {
        "model": model,
        "network": LEARN[network_of(model)],
        "frames": LEARN["frames"],
        "training": LEARN["training"],
    }


pathvars:
    results=SETTINGS["results"],


wildcard_constraints:
    recording=one_of(RECORDINGS),
    method=one_of([*RECOVERED, *(f"{method}-denoised" for method in RECOVERED), *LEARNABLE]),
    model=one_of(LEARNABLE),
    fold=r"later|fold-\d+|without-[^/]+",
