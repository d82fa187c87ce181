# make run    sets up what is needed and runs the demonstration (ARGS="--loss 3 --jitter 30 --seed 1" for a bad link)
# make test   sets up and runs everything that CI runs
# make clean  takes all of it away again

SHELL := bash
run demo test: export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: run demo test clean

run demo: .venv/ready-run
	@imsphone demo $(ARGS)

test: .venv/ready-test
	ruff check .
	ruff format --check .
	mypy
	python -m pytest $(ARGS)

.venv/ready-%: pyproject.toml setup.py packaging/linux/setup $(wildcard imsphone/media/*.pyx imsphone/media/*.pxd)
	@PYTHON="$(PYTHON)" packaging/linux/setup $*

clean:
	rm -rf .venv build dist imsphone/media/*.c imsphone/media/*.so imsphone.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
