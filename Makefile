# make demo    set up, then run the whole pipeline on the bundled demo
# make test    set up, then run the tests and say which branches they miss
# make faults  set up, then try thousands of faults, an hour of two cores, and write tests/faults/RESULTS.md;
#              stopped, it goes on where it was (rm .faults.jsonl: from the beginning);
#              KIND=bad_audio: those of tests/faults/test_bad_audio.py
# make bench   set up, then run the benchmarks, and write benchmarks/RESULTS.md
# make check   set up, then lint, types and import rules
# make docs    set up, then build the site into site/, its links checked
#
# TORCH_INDEX chooses another build of torch than PyPI's, e.g.
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu

PYTHON ?= python3
TORCH_INDEX ?=
KIND ?=
BIN := .venv/bin
READY := .venv/.ready
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test faults bench check docs clean

$(READY): constraints.txt setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	@# torch first and pinned: left to the others, pip would choose its newest CUDA build.
	$(PIP) torch $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX))
	$(PIP) --editable '.[dvc,dev]'
	@touch $@

demo: $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" HF_HUB_OFFLINE=1 $(BIN)/dvc repro
	@echo "The demo shows the mechanism, not an accuracy: its encoder's weights are random."
	@echo "predictions: predictions/demo.parquet"
	@echo "metrics:     reports/demo/metrics.json"
	@echo "report:      reports/demo/report.html"

test: $(READY)
	$(BIN)/pytest -n 2 --cov

faults: $(READY)
	FAULTS=long FAULTS_OUT=$(CURDIR)/.faults.jsonl $(BIN)/pytest -n 2 -m faults \
	  tests/faults$(if $(KIND),/test_$(KIND).py); \
	ended=$$?; \
	$(BIN)/python tests/faults/table.py .faults.jsonl tests/faults/RESULTS.md && exit $$ended

bench: $(READY)
	$(BIN)/python benchmarks/run.py --out benchmarks/RESULTS.md

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY)
	$(PIP) --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf .venv site demo data_manifests/demo*.csv* features models predictions reports dvc.lock
