# make demo | check | test | bench | fuzz | mutants | clean. The first run makes .venv with the versions in constraints.txt; later runs reuse it.
# PYTHON=python3.12 picks another interpreter, VENV=folder another place for the environment.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo check test bench fuzz mutants clean
.DELETE_ON_ERROR:

demo: $(firstword $(wildcard $(VENV)/.ready-test) $(VENV)/.ready-demo)
	@$(BIN)/mmifamin demo --output demo

check: $(VENV)/.ready-test
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/pyright --pythonpath $(BIN)/python --level error

test: $(VENV)/.ready-test
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

bench: $(VENV)/.ready-test
	@$(BIN)/python Testing/benchmarks/speed.py

fuzz: $(VENV)/.ready-test
	@$(BIN)/python -m pytest -m hypothesis --hypothesis-profile=fuzz --hypothesis-show-statistics $(PYTEST_ARGS)

mutants: $(VENV)/.ready-mutants
	@$(BIN)/python Testing/campaigns/mutants.py --output mutants $(MUTANTS_ARGS)

clean:
	rm -rf $(VENV) $(VENV).lock demo mutants build dist MMIFAmin/*.egg-info .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.ready-demo: EXTRAS = demo
$(VENV)/.ready-test: EXTRAS = cohort,demo,slicer,train,test
$(VENV)/.ready-mutants: EXTRAS = cohort,demo,slicer,train,test,mutants

$(VENV)/.ready-%: pyproject.toml constraints.txt Testing/set_up.sh
	@sh Testing/set_up.sh $(PYTHON) $(VENV) $(EXTRAS) $@
