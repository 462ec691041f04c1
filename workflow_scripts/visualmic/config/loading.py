"""Everything the workflow is told, read and checked before the job graph is built."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visualmic.config.recordings import Recording, from_here, read_recordings
from visualmic.config.settings import (
    ConfigSource,
    check_settings,
    read_config,
    recordings_path,
    source_name,
)
from visualmic.errors import VisualMicError
from visualmic.learn.settings import (
    MODELS,
    ResNetSettings,
    SplitSettings,
    model_settings,
    network_of,
    require_weights,
)
from visualmic.simulate.settings import SOUNDS, SimulationSettings


@dataclass(frozen=True)
class Plan:
    """What to do.

    Attributes
    ----------
    settings : mapping
        All settings, checked.
    recordings : mapping of str to Recording
        The recordings by id, in the order of the table.
    simulations : mapping of str to mapping
        The settings of each recording that can be simulated, by id, defaults filled in.
    methods : list of str
        The methods asked for, less the models that no recording is there to train.
    """

    settings: Mapping[str, Any]
    recordings: Mapping[str, Recording]
    simulations: Mapping[str, Mapping[str, Any]]
    methods: list[str]


def load_plan(settings: Mapping[str, Any], files: Sequence[str | Path]) -> Plan:
    """Check the settings and the table they name.

    Parameters
    ----------
    settings : mapping
        What the config files and the command line say together.
    files : sequence of path
        The config files, defaults first: they are read again so that a fault names its file.

    Raises
    ------
    VisualMicError
        One line for every fault found.
    """
    sources = [read_config(_short(path)) for path in files]
    check_settings(settings, sources)
    table = recordings_path(settings, sources)
    simulations = {
        name: _simulation(name, settings, sources, table.parent)
        for name in settings["simulation"]["recordings"]
    }
    recordings = read_recordings(table, simulations)
    _check_learning(settings, sources)
    trainable = any(one.role == "train" and one.reference for one in recordings.values())
    methods = [name for name in settings["methods"] if trainable or name not in MODELS]
    if not methods:
        raise VisualMicError(
            f"{table}: all methods are models to be trained, but no recording has the role train"
            " and a reference; give it to one, or name another method"
        )
    return Plan(settings, recordings, simulations, methods)


def _short(path: str | Path) -> Path:
    """Write a path as a person would who works here: Snakemake makes it absolute."""
    absolute = Path(path).absolute()
    return absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute


def _simulation(
    name: str, settings: Mapping[str, Any], sources: Sequence[ConfigSource], folder: Path
) -> Mapping[str, Any]:
    group = settings["simulation"]
    values = {**group["defaults"], **group["recordings"][name]}
    where = source_name(("simulation", "recordings", name), settings, sources)
    if values["sound"] not in SOUNDS:
        values["sound"] = from_here(folder, values["sound"])
        if not Path(values["sound"]).is_file():
            raise VisualMicError(
                f"{where}: simulation.recordings.{name}.sound: there is no sound"
                f" {values['sound']}; give one of {', '.join(SOUNDS)} or a file's path,"
                " relative to the recordings table"
            )
    try:
        # What depends on several settings at once is known to the simulation itself.
        SimulationSettings(**values)
    except VisualMicError as error:
        raise VisualMicError(f"{where}, simulation.recordings.{name}: {error}") from error
    return values


def _check_learning(settings: Mapping[str, Any], sources: Sequence[ConfigSource]) -> None:
    """Find out before anything is made that a model could not be trained."""
    learn = settings["learn"]
    group = "learn.splits"
    try:
        # What depends on several settings at once is known to the library itself.
        SplitSettings(**learn["splits"])
        for model in set(settings["methods"]) & set(MODELS):
            group = f"learn.{network_of(model)}"
            network = model_settings(model, learn[network_of(model)]).network
            if isinstance(network, ResNetSettings):
                require_weights(network.weights)
    except VisualMicError as error:
        where = source_name(group.split("."), settings, sources)
        raise VisualMicError(f"{where}, {group}: {error}") from error
