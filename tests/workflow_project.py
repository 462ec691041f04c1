"""Three tiny recordings, and a Snakemake to run the workflow on them."""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from visualmic.simulate.recording import simulate_recording
from visualmic.simulate.settings import SimulationSettings

PROJECT = Path(__file__).resolve().parents[1]
SNAKEMAKE = [sys.executable, "-m", "snakemake"]

CONFIG = """
recordings: recordings.csv
methods: [lucas-kanade, pyramid-denoised]
simulation:
  defaults: {width: 64, height: 64, seconds: 0.4, fps: 500, amplitude_px: 0.1, preset: ultrafast}
  recordings:
    card: {object: rigid, sound: tune, seed: 1}
    foil: {object: foil, sound: chirp, seed: 2, codec: lossless}
"""
# A simulated film with its truth, one of which nobody knows the sound, and a film that was "shot".
RECORDINGS = """id,film,fps,reference,offset_s,crop,role
card,simulated,,simulated,0,,test
foil,simulated,,,0,"8,8,48,48",train
shot,films/shot.mp4,500,film,0,,test
"""


class WorkflowProject:
    """A folder in which Snakemake runs the project's workflow on tiny recordings."""

    def __init__(self, folder: Path, snakefile: Path = PROJECT / "Snakefile") -> None:
        self.folder = folder
        self.snakefile = snakefile

    @classmethod
    def create(cls, folder: Path) -> "WorkflowProject":
        """Write config, table and film into an empty folder."""
        (folder / "config.yaml").write_text(CONFIG)
        (folder / "recordings.csv").write_text(RECORDINGS)
        simulate_recording(
            SimulationSettings(
                object="rigid",
                sound="tune",
                width=64,
                height=64,
                seconds=0.4,
                fps=500,
                amplitude_px=0.1,
                seed=3,
                preset="ultrafast",
                container_fps=25,
                audio_track=True,
            ),
            folder / "films" / "shot.mp4",
            quiet=True,
        )
        return cls(folder)

    def copy(self, folder: Path) -> "WorkflowProject":
        """Copy everything that was made, for a test that changes it."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return WorkflowProject(folder, self.snakefile)

    def command(self, *targets: str, options: Sequence[str] = ()) -> list[str]:
        return [
            *SNAKEMAKE,
            *("--snakefile", str(self.snakefile), "--directory", str(self.folder)),
            *("--configfile", str(self.folder / "config.yaml"), "--cores", "2"),
            *options,
            "--",
            *targets,
        ]

    def snakemake(
        self, *targets: str, options: Sequence[str] = (), check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run Snakemake; what it said is in stdout."""
        done = subprocess.run(
            self.command(*targets, options=options),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        if check and done.returncode != 0:
            raise AssertionError(done.stdout)
        return done

    def planned(self, *targets: str, options: Sequence[str] = ()) -> set[str]:
        """Say which jobs a run would do: ``rule`` or ``rule wildcard wildcard``."""
        said = self.snakemake(*targets, options=["--dry-run", *options]).stdout
        jobs = set()
        for block in re.split(r"^(?=(?:local)?rule )", said, flags=re.MULTILINE)[1:]:
            name = re.match(r"(?:local)?rule (\w+):", block)
            wildcards = re.search(r"^    wildcards: (.+)$", block, re.MULTILINE)
            values = sorted(re.findall(r"\w+=([^,\n]+)", wildcards[1])) if wildcards else []
            assert name is not None
            jobs.add(" ".join([name[1], *values]))
        return jobs - {"all"}

    def path(self, name: str) -> Path:
        return self.folder / "results" / name
