"""The main job, end to end: a checkpoint becomes a verified bundle, and the bundle live detections.

The weights are the shipped ones, trained on simulated scenes only, and the bag is a drive through
another simulated scene, whose ground truth the detections are matched to. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import scoring
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from awml_deploy_core.errors import AwmlDeployError, ProcessError
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_core.files import io_errors
from awml_deploy_core.logging_setup import configure_logging
from awml_deploy_core.reporting import Report, write_html, write_json
from awml_deploy_core.reporting.terminal import print_report
from awml_deploy_core.runner.reports import make_report
from awml_deploy_ros.bag_clouds import CloudTopic
from awml_deploy_ros.domains import reserve_domain_id
from awml_deploy_ros.live import LiveSettings, Recording, play_live, read_recording, replay_record
from awml_deploy_ros.live.run import NODE_NAME, LiveProgress
from awml_deploy_ros.live.status import LiveCounters
from awml_extractors.datasets.infos import BAG_INFO_ENDING

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "config" / "centerpoint"
CHECKPOINT = ROOT / "models" / "centerpoint_demo" / "checkpoint.pth"
WEIGHTS = f"Weights: trained on simulated scenes only, see {CHECKPOINT.parent / 'README.md'}"
LIDAR = "os64"
SWEEPS_PER_SECOND = 10
SEED_OF_A_LIVELY_STREET = 38
PICTURES = 4


class Demo:
    """The steps, each on what the one before left in the output folder."""

    def __init__(self, output: Path, sweeps: int, rate_hz: float, console: Console) -> None:
        self.output = output
        self.sweeps = sweeps
        self.rate_hz = rate_hz
        self.console = console
        self.bag = output / "input_bag"
        self.live = output / "live"

    def run(self) -> Report:
        """Do everything and return the report of it.

        Raises:
            AwmlDeployError: A step could not be done.
        """
        start = time.monotonic()
        self._clear()
        self._headline(1, "the demo model, and a drive through a simulated street")
        self.console.print(f"[yellow]{WEIGHTS}[/]", soft_wrap=True)
        seconds, seed = f"{self.sweeps / SWEEPS_PER_SECOND:.1f}", str(SEED_OF_A_LIVELY_STREET)
        self._command(
            *("python", "-m", "awml_deploy_lab.simulation.record", str(self.bag)),
            *("--seconds", seconds, "--seed", seed, "--lidar", LIDAR),
        )
        self._headline(2, "export to ONNX, verification of ONNX Runtime against PyTorch")
        self._command("awml-deploy", "run", str(CONFIG / "deploy.yaml"), "--json", str(self._built_json))
        built = Report.model_validate_json(self._built_json.read_text(encoding="utf-8"))
        self._headline(3, f"the node in its own process, the bag over DDS at {self.rate_hz:g} Hz")
        source = CloudTopic.find(self.bag)
        settings = LiveSettings(self.output / "bundle", CONFIG / "node.param.yaml", rate_hz=self.rate_hz)
        with self._live_bar(source.count) as progress:
            outcome = play_live(source, self.live, settings, progress)
        recording = read_recording(outcome.output_bag, f"/{NODE_NAME}")
        scored = scoring.Scoring.of(recording.frames, self.bag, self.output / "bundle")
        pictures = self._draw(recording, scored)
        accuracy = scored.record()
        replay = replay_record(source, settings, outcome, recording, pictures)
        passed = replay.status == "passed" and accuracy is not None and accuracy.status == "passed"
        report = make_report(
            "demo",
            built.name,
            seconds=time.monotonic() - start,
            bundle=built.bundle,
            export=built.export,
            verification=built.verification,
            replay=replay,
            accuracy=accuracy,
            exit_code=ExitCode.PASSED if passed else ExitCode.FAILED,
        )
        write_json(report, self.result_json)
        write_html(report, self.page)
        return report

    @property
    def result_json(self) -> Path:
        return self.output / "result.json"

    @property
    def page(self) -> Path:
        return self.output / "report.html"

    @property
    def _built_json(self) -> Path:
        return self.output / "reports" / "run.json"

    def _clear(self) -> None:
        """Remove what an earlier demo left, and nothing else."""
        with io_errors(self.output, "output folder cannot be written"):
            self.output.mkdir(parents=True, exist_ok=True)
            for path in (self.bag, self.live, self.output / "bundle", self.output / "reports"):
                if path.exists():
                    shutil.rmtree(path)
            infos = self.bag.with_name(self.bag.name + BAG_INFO_ENDING)
            for path in (infos, self.result_json, self.page):
                path.unlink(missing_ok=True)

    def _headline(self, number: int, text: str) -> None:
        self.console.print(f"\n[bold]{number}/3 {text}[/]")

    def _command(self, program: str, *arguments: str) -> None:
        """Run a command of the README and show it.

        Raises:
            ProcessError: It failed.
        """
        self.console.print(f"$ {program} {' '.join(arguments)}", style="cyan", markup=False, soft_wrap=True)
        environment = {
            **os.environ,
            "AWML_DEPLOY_CHECKPOINT": str(CHECKPOINT),
            "AWML_DEPLOY_WORK_DIR": str(self.output),
            "AWML_DEPLOY_SAMPLES": str(self.bag),
        }
        executable = sys.executable if program == "python" else program
        code = subprocess.run([executable, *arguments], env=environment, check=False).returncode
        if code:
            raise ProcessError(program, "failed", got=f"exit code {code}", hint="Its message is above.")

    @contextmanager
    def _live_bar(self, total: int) -> Iterator[LiveBar]:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"))
        with Progress(*columns, console=self.console, transient=True) as bars:
            yield LiveBar(bars, bars.add_task("starting", total=total, state=""))

    def _draw(self, recording: Recording, scored: scoring.Scoring) -> list[Path]:
        """Bird's-eye views of some frames."""
        frames = recording.frames
        chosen = np.unique(np.linspace(0, len(frames) - 1, PICTURES).astype(int)) if frames else ()
        with self.console.status("drawing detections and ground truth over points"):
            stamps = [frames[index].stamp_ns for index in chosen]
            return scored.draw(self.bag, self.live / "pictures", stamps)


class LiveBar:
    """Shows how far the live run is."""

    def __init__(self, bars: Progress, task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def __call__(self, progress: LiveProgress) -> None:
        words = {"start": "loading the model", "play": "playing", "finish": "finishing"}
        counters = progress.counters
        self._bars.update(
            self._task,
            description=words[progress.phase],
            completed=counters.accounted,
            state=counters_text(counters),
        )


def counters_text(counters: LiveCounters) -> str:
    """Counters in one line."""
    dropped = ", ".join(f"{reason} {count}" for reason, count in counters.dropped.items())
    return f"{counters.received} in, {counters.processed} processed, dropped: {dropped or 'none'}"


def summarise(report: Report, demo: Demo, console: Console) -> None:
    """Tables, and where everything is."""
    replay = report.replay
    assert replay is not None
    print_report(report.model_copy(update={"export": None, "verification": None}), console)
    console.print(f"\nmodel bundle: {report.bundle}", markup=False, soft_wrap=True)
    console.print(f"recorded output bag: {replay.output_bag}", markup=False, soft_wrap=True)
    console.print(f"JSON result: {demo.result_json}", markup=False, soft_wrap=True)
    console.print(f"report: {demo.page}", markup=False, soft_wrap=True)
    for picture in replay.pictures:
        console.print(f"picture: {picture}", markup=False, soft_wrap=True)
    console.print(f"logs: {demo.live}", markup=False, soft_wrap=True)
    colour, status = ("green", "passed") if report.exit_code == ExitCode.PASSED else ("red", "failed")
    console.print(f"[bold {colour}]demo {status}[/] in {report.seconds:.0f} s. {WEIGHTS}", soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; the exit code is 0 only if every step was done and every check passed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("output/demo"), help="default: %(default)s")
    parser.add_argument("--sweeps", type=int, default=100, help="default: %(default)s")
    parser.add_argument("--rate", type=float, default=10.0, help="[Hz], default: %(default)s")
    options = parser.parse_args(arguments)
    if options.sweeps < 1:
        parser.error("--sweeps takes at least 1")
    configure_logging()
    console = Console(highlight=False)
    demo = Demo(options.output.resolve(), options.sweeps, options.rate, console)
    try:
        # Another demo or node on this machine must not answer.
        if not os.environ.get("ROS_DOMAIN_ID"):
            os.environ["ROS_DOMAIN_ID"] = str(reserve_domain_id())
        report = demo.run()
    except AwmlDeployError as error:
        console.print(f"[bold red]demo failed[/] {type(error).__name__}: ", end="")
        console.print(str(error), markup=False, soft_wrap=True)
        return int(ExitCode.BAD_INPUT)
    except KeyboardInterrupt:
        console.print("interrupted")
        return int(ExitCode.INTERRUPTED)
    summarise(report, demo, console)
    return report.exit_code


if __name__ == "__main__":
    sys.exit(main())
