# Two targets matter: `make demo` runs the main job, `make test` passes the tests.
# Both set everything up first: a virtual environment, ROS 2 from wheels, a colcon build.

PYTHON ?= python3
VENV ?= .venv
OUTPUT ?= output/demo

SHELL := /bin/bash
WITH_ENV := VENV=$(VENV) bash tools/with_env.sh
SETUP_STAMP := $(VENV)/.setup-done
BUILD_STAMP := install/.build-done
REQUIREMENTS := $(wildcard requirements/*.txt)
# What a ROS 2 installation has and the wheels have not.
COLCON_PATHS := --base-paths src --paths interfaces/*/
SOURCES := $(shell find src interfaces launch config -type f -not -path '*/test/*' -not -path '*/__pycache__/*' -not -path '*/build/*' -not -path '*.egg-info/*' 2>/dev/null)

.PHONY: demo test shell build setup lint unit-test system-test bench faults references clean help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

demo: build ## checkpoint -> ONNX -> verification -> live node on a bag -> result
	@$(WITH_ENV) python demo/demo.py --output "$(OUTPUT)"

test: build ## linters, colcon test over all packages, system tests
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory unit-test
	@$(MAKE) --no-print-directory system-test

shell: build ## a shell in which the commands of the README work
	@$(WITH_ENV) bash

setup: $(SETUP_STAMP) ## virtual environment with ROS 2 from wheels
build: $(BUILD_STAMP) ## colcon build of all packages

$(SETUP_STAMP): $(REQUIREMENTS) tools/check_prerequisites.sh tools/ros_wheels.py
	@PYTHON=$(PYTHON) bash tools/check_prerequisites.sh
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip
	$(VENV)/bin/python -m pip install --quiet $(addprefix -r ,$(REQUIREMENTS))
	$(VENV)/bin/python tools/ros_wheels.py
	@touch $@

$(BUILD_STAMP): $(SETUP_STAMP) $(SOURCES)
	@$(WITH_ENV) colcon --log-level error build $(COLCON_PATHS) --event-handlers console_cohesion- status-
	@touch $@

lint: build ## ruff, mypy, import contracts
	$(WITH_ENV) ruff check .
	$(WITH_ENV) ruff format --check .
	$(WITH_ENV) mypy
	$(WITH_ENV) lint-imports

unit-test: build ## colcon test, failing if a package ran no test
	rm -rf build/*/pytest.xml build/*/test_results
	$(WITH_ENV) bash tools/unit_tests.sh $(COLCON_PATHS)
	$(WITH_ENV) colcon test-result --verbose
	$(WITH_ENV) python tools/check_test_counts.py build

system-test: build ## launch the node, replay bags, run the README's commands
	$(WITH_ENV) python -m pytest test

bench: build ## benchmarks as ratios in one run, results as JSON
	$(WITH_ENV) python -m pip install --quiet -r benchmarks/requirements.txt
	$(WITH_ENV) python benchmarks/bench.py --output benchmarks/results

faults: build ## plant defects in the demo model, verify each, write docs/fault_catalogue.md
	$(WITH_ENV) python tools/fault_catalogue.py

references: build ## write the generated documents in docs/
	$(WITH_ENV) python tools/config_reference.py
	$(WITH_ENV) python tools/result_schema.py
	$(WITH_ENV) python tools/ros_reference.py

clean: ## remove everything that the other targets made
	rm -rf $(VENV) build install log output src/*/build src/*/*.egg-info
