#!/usr/bin/env bash
# Names everything the set-up needs and does not find, in one message.
set -u
python=${PYTHON:-python3}
missing=()
command -v g++ >/dev/null || missing+=("g++ (apt install g++)")
command -v cmake >/dev/null || missing+=("cmake (apt install cmake)")
if ! command -v "$python" >/dev/null; then
  missing+=("$python (apt install python3)")
elif ! "$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))'; then
  missing+=("Python 3.10 to 3.13 for the ROS 2 wheels, found $("$python" -V 2>&1); set PYTHON=python3.X")
else
  "$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=("venv (apt install python3-venv)")
  "$python" -c 'import pathlib, sysconfig, sys
sys.exit(not (pathlib.Path(sysconfig.get_paths()["include"]) / "Python.h").exists())' \
    || missing+=("Python headers (apt install python3-dev)")
fi
if [[ "$PWD" =~ [[:space:]] ]]; then
  missing+=("a path without spaces, which colcon's set-up scripts cannot handle; found $PWD")
fi
if [[ "$(uname -sm)" != "Linux x86_64" ]]; then
  missing+=("Linux on x86_64 for the ROS 2 wheels, found $(uname -sm); elsewhere use an installed ROS 2")
fi
if ((${#missing[@]})); then
  printf 'Missing:\n' >&2
  printf '  - %s\n' "${missing[@]}" >&2
  exit 1
fi
