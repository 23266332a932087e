"""The real node in its own process, fed by a bag over DDS, its outputs recorded and judged."""

from awml_deploy_ros.live.judge import replay_record
from awml_deploy_ros.live.recording import RecordedFrame, Recording, read_recording
from awml_deploy_ros.live.run import LiveOutcome, LiveSettings, play_live

__all__ = [
    "LiveOutcome",
    "LiveSettings",
    "RecordedFrame",
    "Recording",
    "play_live",
    "read_recording",
    "replay_record",
]
