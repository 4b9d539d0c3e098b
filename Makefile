# make demo   teach grasp_cap in simulation, from nothing but Python
# make test   all tests
# make bench  speed beside what one would use instead
# Only relative paths stand here: make cannot quote the folder that it runs in, which may have spaces in its name.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test lint bench clean

BIN := .venv/bin
READY := .venv/.ready
TASK ?= grasp_cap
RUN_DIR ?= runs/demo
ARGS ?=

# The first Python that fits, one with PyBullet wheels (3.10, 3.11) before 3.12; `make PYTHON=python3.12 demo` chooses.
FITS = import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, $(1)))
PYTHON ?= $(shell for newest in '$(call FITS,11)' '$(call FITS,12)'; do \
	for python in python3 python3.11 python3.10 python3.12; do \
		"$$python" -c "$$newest" 2>/dev/null && { echo "$$python"; exit; }; done; done)

ifdef ROS_DISTRO
$(info parrot: ROS 2 $(ROS_DISTRO) is sourced; make ignores it and uses the wheels in .venv. To use yours: README, "With ROS 2".)
unexport ROS_DISTRO ROS_VERSION ROS_PYTHON_VERSION RMW_IMPLEMENTATION
unexport AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH LD_LIBRARY_PATH PYTHONPATH
endif

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

$(READY): pyproject.toml setup.py package.xml
	@"$(PYTHON)" -c '$(call FITS,12)' 2>/dev/null || { \
		echo "parrot: needs Python 3.10 to 3.12, found '$(or $(PYTHON),none)'; name one: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(BIN)/pip || "$(PYTHON)" -m venv .venv || { \
		echo "parrot: cannot make .venv; on Debian and Ubuntu: sudo apt install python3-venv" >&2; rm -rf .venv; exit 1; }
	@$(BIN)/python -c '$(call FITS,11)' || echo "parrot: PyBullet has no wheel for this Python and is compiled now, which" \
		"takes a C++ compiler and many minutes; Python 3.11 is quicker: make PYTHON=python3.11 $(MAKECMDGOALS)"
	@echo "parrot: installing into .venv, a minute or more"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[ros,test]'
	@touch $(READY)

demo: $(READY)
	$(BIN)/parrot launch sim_finetune.launch.py 'task:=$(TASK)' 'run_dir:=$(RUN_DIR)' $(ARGS)
	@$(BIN)/parrot summary '$(RUN_DIR)'

# A graph's processes race the clock, and a machine that stalls fails one of hundreds: such a test has one more chance,
# with the machine to itself, and a run of pytest of its own, which names it.
test: $(READY)
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	@others=0; graphs=0; \
	$(BIN)/python -m pytest -n 2 --dist loadfile --ignore tests/graph || others=$$?; \
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/graph || graphs=$$?; \
	if [ $$graphs = 1 ]; then \
		graphs=0; $(BIN)/python -m pytest --last-failed --last-failed-no-failures none -v tests/graph || graphs=$$?; \
	fi; \
	exit $$((others ? others : graphs))
endif

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/mypy

bench: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[ros,bench]'
	$(BIN)/parrot bench $(ARGS)

clean:
	rm -rf .venv build dist parrot.egg-info parrot_ws/build parrot_ws/install parrot_ws/log
