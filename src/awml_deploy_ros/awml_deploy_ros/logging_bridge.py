"""Hands the standard library's log records of this suite to a node's logger."""

from __future__ import annotations

import logging
from typing import Any

from awml_deploy_core.logging_setup import facts

_PACKAGES = ("awml_deploy_core", "awml_extractors", "awml_deploy_ros")


class NodeLogHandler(logging.Handler):
    """Logs through an rclpy logger, so that records reach /rosout."""

    def __init__(self, logger: Any) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        message = self.format(record) + "".join(
            f" {name}={value:.3f}" if isinstance(value, float) else f" {name}={value}"
            for name, value in facts(record).items()
        )
        # rclpy refuses one call site with changing severities, so each severity has its own.
        if record.levelno >= logging.ERROR:
            self._logger.error(message)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(message)
        elif record.levelno >= logging.INFO:
            self._logger.info(message)
        else:
            self._logger.debug(message)


def connect(logger: Any) -> NodeLogHandler:
    """Send this suite's records of level INFO and above to ``logger``; see :func:`disconnect`."""
    handler = NodeLogHandler(logger)
    for package in _PACKAGES:
        logging.getLogger(package).addHandler(handler)
        logging.getLogger(package).setLevel(logging.INFO)
    return handler


def disconnect(handler: NodeLogHandler) -> None:
    """Undo :func:`connect`."""
    for package in _PACKAGES:
        logging.getLogger(package).removeHandler(handler)
