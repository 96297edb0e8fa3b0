# From a clean clone: `make demo` opens the app, `make test` runs every test.
VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.requirements-installed
LOWEST := .venv-lowest

.PHONY: demo test test-long test-lowest fuzz lint bench figures papers venv

demo: venv
	$(PYTHON) app.py $(ARGS)

test: lint
	sh .ci/browser $(PYTHON)
	$(PYTHON) -m pytest -n 2 $(ARGS)

# What takes minutes each, and no part of `make test`.
test-long: venv
	$(PYTHON) -m pytest -m long $(ARGS)

# An hour of what `make test` does for a minute.
fuzz: venv
	$(PYTHON) -m pytest tests/fuzz --fuzz-seconds 3600 $(ARGS)

# The oldest versions that the ranges allow, without the browser.
test-lowest: venv
	$(PYTHON) -m uv venv --quiet --seed --allow-existing --python $(PYTHON) $(LOWEST)
	$(PYTHON) -m uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct -r requirements-dev.txt
	$(LOWEST)/bin/python -m pytest -m "not browser" $(ARGS)

lint: venv
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

bench: venv
	@set -e; for name in app benchmark beside detect emoji_finetune emoji_recipe finetune negatives scale scores search spectrum; do \
		echo "== $$name"; $(PYTHON) -m tests.speed.$$name $(ARGS); done

# Every figure that README quotes, into docs/figures.md; about half an hour.
figures: venv
	$(PYTHON) -m assets.build.figures $(ARGS)

# The paper's tables in the embedded world, as the Published tab shows them; it goes on from whatever
# ended it. A row that this world cannot have makes the exit code 1.
papers: venv
	$(PYTHON) -m setar_core papers --world emoji --out out/papers-emoji --resume || test $$? = 1
	cp out/papers-emoji/papers.json assets/papers/emoji.json

venv: $(READY)

# Built again when the requirements change, and only then.
$(READY): requirements.txt requirements-dev.txt
	sh .ci/venv $(VENV)
	$(PYTHON) -m pip install --disable-pip-version-check -r requirements-dev.txt
	touch $@
