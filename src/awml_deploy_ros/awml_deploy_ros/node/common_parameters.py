"""The parameters that every node of a model has. This module knows no ROS."""

from __future__ import annotations

from awml_deploy_ros.parameter_spec import DURATION_MS, ParameterSpec

_SHARE = (0.0, 1.0)

MODEL = (
    ParameterSpec("model_path", "string", "", "Folder of the model bundle.", launch_argument=True),
    ParameterSpec(
        "backend",
        "string",
        "onnxruntime",
        "Runtime of the model's components: onnxruntime, pytorch or another installed backend.",
        launch_argument=True,
    ),
    ParameterSpec("device", "string", "cpu", "Device: cpu, cuda or cuda:N.", launch_argument=True),
    ParameterSpec(
        "checkpoint_path",
        "string",
        "",
        "Trained weights, for a backend that runs the module itself (pytorch).",
        launch_argument=True,
    ),
    ParameterSpec(
        "num_threads",
        "int",
        0,
        "CPU threads of one inference; 0 leaves the choice to the backend.",
        (0, 1024),
        launch_argument=True,
    ),
    ParameterSpec(
        "autostart",
        "bool",
        False,
        "Configure and activate on start, for use without a launch file or lifecycle manager.",
    ),
    ParameterSpec("warm_up_frames", "int", 2, "Runs of the model while configuring.", (1, 100)),
    ParameterSpec(
        "latency_window", "int", 1000, "Frames over which latency percentiles are taken.", (10, 100000)
    ),
)
"""What is run, and how it starts."""

CLOUD = (
    ParameterSpec("field_mapping.x", "string", "x", "Field of the cloud that holds x [m]."),
    ParameterSpec("field_mapping.y", "string", "y", "Field of the cloud that holds y [m]."),
    ParameterSpec("field_mapping.z", "string", "z", "Field of the cloud that holds z [m]."),
    ParameterSpec(
        "field_mapping.intensity",
        "string",
        "intensity",
        "Field of the cloud that holds the intensity (0 to 255); used where the cloud has it, "
        "empty to ignore it.",
    ),
    ParameterSpec(
        "check_is_dense",
        "bool",
        True,
        "Refuse a cloud that says is_dense but has NaN or infinite coordinates; false leaves such "
        "points out, as in a cloud that is not dense.",
    ),
)
"""How a node reads clouds."""

DIAGNOSTICS = (
    ParameterSpec(
        "diagnostics.max_allowed_processing_time_ms",
        "double",
        200.0,
        "Processing time [ms] above which a frame counts as delayed (WARN).",
        DURATION_MS,
        read_only=False,
    ),
    ParameterSpec(
        "diagnostics.max_acceptable_consecutive_delay_ms",
        "double",
        1000.0,
        "Time [ms] without a frame in time after which the state is ERROR.",
        DURATION_MS,
        read_only=False,
    ),
    ParameterSpec(
        "diagnostics.validation_callback_interval_ms",
        "double",
        100.0,
        "Interval [ms] at which the state is judged; published when it changes and every second.",
        DURATION_MS,
    ),
    ParameterSpec(
        "latency_budget_file",
        "string",
        "",
        "What every stage may take: a path, or package://PACKAGE/PATH for a file that a package "
        "installed; empty for none.",
        launch_argument=True,
    ),
)
"""What is late, and how that is told."""

SHADOW = (
    ParameterSpec(
        "shadow.every_n",
        "int",
        0,
        "Every Nth frame also goes through the reference backend, in a process of lowest priority; 0 turns "
        "the shadow verification off.",
        (0, 1000000),
        launch_argument=True,
    ),
    ParameterSpec(
        "shadow.backend",
        "string",
        "onnxruntime",
        "Runtime of the reference; pytorch needs checkpoint_path.",
        launch_argument=True,
    ),
    ParameterSpec(
        "shadow.device",
        "string",
        "cpu",
        "Device of the reference: cpu, cuda or cuda:N.",
        launch_argument=True,
    ),
    ParameterSpec(
        "shadow.max_rate_hz",
        "double",
        1.0,
        "At most so many frames a second [Hz] go through the reference.",
        (0.001, 100.0),
    ),
    ParameterSpec(
        "shadow.max_share",
        "double",
        0.25,
        "Share of one CPU core that the reference may use, or of the GPU if it runs there.",
        (0.001, 1.0),
    ),
    ParameterSpec("shadow.num_threads", "int", 1, "CPU threads of the reference.", (1, 1024)),
    ParameterSpec(
        "shadow.max_unmatched",
        "int",
        0,
        "Boxes that may lack a partner, those not counted for which rounding decided.",
        (0, 10000),
    ),
    ParameterSpec(
        "shadow.max_consecutive_disagreements",
        "int",
        3,
        "So many compared frames in a row that disagree are an ERROR; fewer are a WARN.",
        (1, 1000000),
    ),
)
"""The reference backend that runs beside the live one."""

SNIPPETS = (
    ParameterSpec(
        "snippets.folder",
        "string",
        "",
        "Where frames that disagree with the reference or are over budget are written as small bags, with "
        "the seconds around them; empty writes none.",
        launch_argument=True,
    ),
    ParameterSpec(
        "snippets.seconds_before", "double", 2.0, "Seconds of input before the frame.", (0.0, 60.0)
    ),
    ParameterSpec(
        "snippets.seconds_after", "double", 1.0, "Seconds of input after the frame.", (0.0, 60.0)
    ),
    ParameterSpec(
        "snippets.min_interval_s",
        "double",
        30.0,
        "Seconds between the starts of two snippets; what happens in between is counted only.",
        (0.0, 86400.0),
    ),
    ParameterSpec(
        "snippets.max_total_mb",
        "double",
        2000.0,
        "Room for all snippets [MB]; the oldest make room for a new one.",
        (1.0, 1e7),
    ),
    ParameterSpec(
        "snippets.min_free_mb",
        "double",
        1000.0,
        "No snippet is written that would leave less than this [MB] free on the disk.",
        (0.0, 1e7),
    ),
    ParameterSpec(
        "snippets.max_buffer_mb",
        "double",
        512.0,
        "Memory for the seconds before a frame [MB]; inputs are shared with the pipeline, not copied.",
        (1.0, 1e6),
    ),
)
"""What is kept of frames that are worth a look."""

EVIDENCE = (
    ParameterSpec(
        "evidence_folder",
        "string",
        "",
        "Where the service ~/write_evidence writes; empty is awml_deploy_evidence in ROS_HOME, "
        "which is ~/.ros unless set.",
    ),
)
"""What is written when somebody asks."""
