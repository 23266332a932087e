"""The topics of the nodes, in one table a node. This module knows no ROS."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class TopicSpec:
    """One topic; ``~`` stands for the node."""

    name: str
    type: str
    description: str
    output: str = ""
    """Name in the parameter ``outputs`` that selects it; empty if it is always there."""

    def of(self, node_name: str) -> str:
        """The topic of a node by its full name."""
        return self.name.replace("~", node_name.rstrip("/"), 1)

    @property
    def package(self) -> str:
        """The package of its message."""
        return self.type.partition("/")[0]


POINT_CLOUD = TopicSpec(
    "~/input/pointcloud", "sensor_msgs/msg/PointCloud2", "Input: clouds, best effort, the latest wins."
)
IMAGE = TopicSpec("~/input/image", "sensor_msgs/msg/Image", "Input: images, best effort, the latest wins.")
CAMERA_INFO = TopicSpec(
    "~/input/camera_info",
    "sensor_msgs/msg/CameraInfo",
    "Input: calibration of the camera, one for each image, with its stamp.",
)
TF = TopicSpec(
    "/tf",
    "tf2_msgs/msg/TFMessage",
    "Input: where the cloud's frame is in the world, at and around the stamps of the clouds; only if "
    "densification_params.num_past_frames is above 0.",
)
TF_STATIC = TopicSpec("/tf_static", "tf2_msgs/msg/TFMessage", "Input: frames that never move; as /tf.")
FRAME = TopicSpec(
    "~/output/frame",
    "awml_deploy_msgs/msg/DetectionFrame",
    "The typed record of a frame: boxes, stage latencies, counters, identity.",
    "frame",
)
IMAGE_FRAME = TopicSpec(
    "~/output/frame",
    "awml_deploy_msgs/msg/ImageDetectionFrame",
    "The typed record of an image: boxes, stage latencies, counters, identity.",
    "frame",
)
MARKERS = TopicSpec(
    "~/output/markers",
    "visualization_msgs/msg/MarkerArray",
    "Boxes, labels, headings and velocities for RViz.",
    "markers",
)
DETECTED_OBJECTS = TopicSpec(
    "~/output/objects",
    "autoware_perception_msgs/msg/DetectedObjects",
    "Autoware's objects; twist in the frame of the object.",
    "detected_objects",
)
DETECTION3D = TopicSpec(
    "~/output/detections",
    "vision_msgs/msg/Detection3DArray",
    "The ROS standard for detections; it has no velocity.",
    "detection3d",
)
DETECTION2D = TopicSpec(
    "~/output/detections",
    "vision_msgs/msg/Detection2DArray",
    "The ROS standard for detections in images [px].",
    "detection2d",
)
_STAMPED = "autoware_internal_debug_msgs/msg/Float64Stamped"
CYCLIC_TIME = TopicSpec(
    "~/debug/cyclic_time_ms", _STAMPED, "Time between two processed frames [ms].", "debug"
)
PROCESSING_TIME = TopicSpec(
    "~/debug/processing_time_ms",
    _STAMPED,
    "Sum of all stages of a frame [ms]; without publication and the waits in the queue, for another "
    "sensor and for transforms.",
    "debug",
)
PIPELINE_LATENCY = TopicSpec(
    "~/debug/pipeline_latency_ms",
    _STAMPED,
    "Age of the input by its stamp [ms]; only where stamp and clock share a time base.",
    "debug",
)
DIAGNOSTICS = TopicSpec(
    "/diagnostics",
    "diagnostic_msgs/msg/DiagnosticArray",
    "State, counters, last error and percentiles of every stage.",
)

PROVENANCE = TopicSpec(
    "~/output/provenance",
    "awml_deploy_msgs/msg/Provenance",
    "Latched: the bundle's manifest, engine keys, versions, GPUs and parameters; published when the node "
    "is configured and when a parameter changes.",
)
SHADOW = TopicSpec(
    "~/output/shadow",
    "awml_deploy_msgs/msg/ShadowResult",
    "Every frame that was compared with the reference; only if shadow.every_n is above 0.",
)


@dataclass(frozen=True)
class ServiceSpec:
    """One service; ``~`` stands for the node."""

    name: str
    type: str
    description: str


SELF_TEST = ServiceSpec(
    "~/self_test",
    "std_srvs/srv/Trigger",
    "Runs the bundle's known inputs through the node's backend, in a process of lowest priority, and "
    "compares with the recorded outputs. success: every check ran and passed.",
)
WRITE_EVIDENCE = ServiceSpec(
    "~/write_evidence",
    "std_srvs/srv/Trigger",
    "Writes manifest, parameters, state of host and GPUs (clocks, temperature, power, memory, throttling), "
    "latency statistics and diagnostics into a new folder; message says where.",
)
SERVICES = (SELF_TEST, WRITE_EVIDENCE)

TOPICS = (
    POINT_CLOUD,
    TF,
    TF_STATIC,
    FRAME,
    MARKERS,
    DETECTED_OBJECTS,
    DETECTION3D,
    CYCLIC_TIME,
    PROCESSING_TIME,
    PIPELINE_LATENCY,
    DIAGNOSTICS,
    PROVENANCE,
    SHADOW,
)
_ALWAYS = (CYCLIC_TIME, PROCESSING_TIME, PIPELINE_LATENCY, DIAGNOSTICS, PROVENANCE)
YOLOX_TOPICS = (IMAGE, IMAGE_FRAME, DETECTION2D, *_ALWAYS)
CALIBRATION_TF = replace(TF, description="Input: where the LiDAR is in the camera's frame.")
CALIBRATION_TOPICS = (
    replace(POINT_CLOUD, description="Input: clouds with intensity, best effort; what is counted."),
    replace(IMAGE, description="Input: images of the camera, best effort."),
    CAMERA_INFO,
    CALIBRATION_TF,
    TF_STATIC,
    *_ALWAYS,
)
RECORDED = (FRAME, MARKERS, DETECTED_OBJECTS, DETECTION3D, DIAGNOSTICS, PROVENANCE, SHADOW)
"""What the bag recorder records of the node ``centerpoint``."""
