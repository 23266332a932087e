#!/usr/bin/env bash
# colcon test over all packages. The slowest runs beside the others, which colcon itself would not do as
# one depends on another; nodes run alone, as their tests wait for one another's messages.
set -uo pipefail

tests() {
  local log=$1
  shift
  colcon --log-base "log/$log" test --event-handlers console_cohesion+ --return-code-on-test-failure "$@"
}

tests extractors "$@" --packages-select awml_extractors &
extractors=$!
tests others "$@" --packages-skip awml_extractors awml_deploy_ros
failed=$?
wait "$extractors" || failed=$?
tests ros "$@" --packages-select awml_deploy_ros || failed=$?
exit "$failed"
