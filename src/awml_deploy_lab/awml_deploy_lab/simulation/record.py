"""Record simulated drives as a rosbag2 or as a data set.

Command line::

    python -m awml_deploy_lab.simulation.record OUT_BAG --seconds 20 --seed 0 --lidar os64
    python -m awml_deploy_lab.simulation.record OUT_FOLDER --infos val --drives 20 --seconds 2
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from awml_deploy_core.errors import AwmlDeployError
from awml_deploy_core.exit_codes import ExitCode
from awml_deploy_lab.simulation.bag import write_simulated_bag
from awml_deploy_lab.simulation.drive import SimulatedDrive
from awml_deploy_lab.simulation.infos import write_infos
from awml_deploy_lab.simulation.lidar import LIDARS
from awml_deploy_lab.simulation.parameters import PRESETS
from awml_deploy_lab.simulation.sweep import SimulatedSweep
from awml_extractors.datasets.bag_writer import STORAGES


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Record simulated drives with their ground truth.")
    parser.add_argument("out", type=Path, help="bag or folder to create")
    parser.add_argument("--seconds", type=float, default=20.0, help="of a drive, default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the first drive, default: %(default)s")
    parser.add_argument("--lidar", choices=sorted(LIDARS), help="default: drawn with the scene")
    parser.add_argument(
        "--scenes", choices=sorted(PRESETS), default="held_out", help="default: %(default)s"
    )
    parser.add_argument("--storage", choices=STORAGES, default="sqlite3")
    parser.add_argument("--raw", action="store_true", help="record the distorted clouds of the sensor, too")
    parser.add_argument(
        "--infos", metavar="SPLIT", help="write a data set with infos_SPLIT.pkl instead of a bag"
    )
    parser.add_argument("--drives", type=int, default=1, help="of a data set, default: %(default)s")
    return parser


def _drives(options: argparse.Namespace) -> Iterator[SimulatedDrive]:
    lidar = LIDARS[options.lidar] if options.lidar else None
    for seed in range(options.seed, options.seed + options.drives):
        yield SimulatedDrive(seed, PRESETS[options.scenes], lidar, duration=options.seconds)


def _record(options: argparse.Namespace, sweeps_a_drive: int) -> str:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)

    def shown(sweeps: Iterator[SimulatedSweep]) -> Iterator[SimulatedSweep]:
        total = sweeps_a_drive * options.drives
        hidden = not console.is_terminal
        return iter(track(sweeps, "Casting rays", total, console=console, disable=hidden))

    if options.infos:
        drives = (drive.sweeps(sweeps_a_drive) for drive in _drives(options))
        path = write_infos(options.out, shown(chain.from_iterable(drives)), options.infos)
        return f"{path}: {sweeps_a_drive * options.drives} sweeps of {options.drives} drives"
    (drive,) = _drives(options)
    sweeps = shown(drive.sweeps(sweeps_a_drive))
    counts = write_simulated_bag(
        options.out, sweeps, drive.pose_at, raw=options.raw, storage=options.storage
    )
    return f"{options.out}: " + ", ".join(f"{count} on {topic}" for topic, count in counts.items())


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of this module."""
    parser = _parser()
    options = parser.parse_args(arguments)
    sweeps_a_drive = round(options.seconds * 10)
    if sweeps_a_drive < 1 or options.drives < 1 or options.seed < 0:
        parser.error("--seconds takes at least 0.1, --drives at least 1, --seed at least 0")
    if options.drives > 1 and not options.infos:
        parser.error("--drives is for data sets: a bag holds one drive")
    try:
        print(_record(options, sweeps_a_drive))
    except AwmlDeployError as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.BAD_INPUT
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return ExitCode.PASSED


if __name__ == "__main__":
    sys.exit(main())
