"""Three tiny recordings, and a Snakemake to run the workflow on them."""

import fcntl
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from visualmic.simulate.recording import simulate_recording
from visualmic.simulate.settings import SimulationSettings

PROJECT = Path(__file__).resolve().parents[1]
CODE = (
    "Snakefile",
    "config.yaml",
    "recordings.csv",
    "rules",
    "workflow_scripts",
    "envs",
    "profiles",
)

CONFIG = """
recordings: recordings.csv
methods: [lucas-kanade, lucas-kanade-denoised]
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
    """A folder with a copy of the project's code, in which Snakemake runs it on tiny recordings.

    The copy lets a test change code, and what runs be what was tested while the project is edited.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.code = folder / "code"

    @classmethod
    def create(cls, folder: Path) -> "WorkflowProject":
        """Write code, config, table and film into an empty folder."""
        for name in CODE:
            # With what is compiled already: to do it again would take longer than the tests.
            copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy2
            (folder / "code").mkdir(exist_ok=True)
            copy(PROJECT / name, folder / "code" / name)
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

    @classmethod
    def made_once(cls, folder: Path) -> "WorkflowProject":
        """Create a project and make everything in it, once for all processes that test."""
        with folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            done = folder / "made"
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                cls.create(folder).snakemake()
                done.touch()
        return cls(folder)

    def copy(self, folder: Path) -> "WorkflowProject":
        """Copy everything that was made, for a test that changes it."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return WorkflowProject(folder)

    def command(self, *targets: str, options: Sequence[str] = ()) -> list[str]:
        return [
            *(sys.executable, "-m", "snakemake", "--cores", "2"),
            *("--snakefile", "code/Snakefile", "--configfile", "config.yaml"),
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
            timeout=600,
        )
        if check and done.returncode != 0:
            raise AssertionError(done.stdout)
        return done

    def planned(self, *targets: str, options: Sequence[str] = ()) -> set[str]:
        """Say which jobs a run would do, such as ``recover_sound card pyramid``."""
        said = self.snakemake(*targets, options=["--dry-run", *options]).stdout
        jobs = set()
        for block in re.split(r"^(?=(?:local)?rule )", said, flags=re.MULTILINE)[1:]:
            name = re.match(r"(?:local)?rule (\w+):", block)
            wildcards = re.search(r"^    wildcards: (.+)$", block, re.MULTILINE)
            values = dict(re.findall(r"(\w+)=([^,\n]+)", wildcards[1])) if wildcards else {}
            assert name is not None
            known = [values[key] for key in ("recording", "method") if key in values]
            jobs.add(" ".join([name[1], *known]))
        return jobs - {"all"}

    def path(self, name: str) -> Path:
        return self.folder / "results" / name
