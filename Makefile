# From a clean clone: `make demo` opens the app, `make test` runs every test.
VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.requirements-installed

.PHONY: demo test bench venv

demo: venv
	$(PYTHON) app.py $(ARGS)

test: venv
	sh .ci/browser $(PYTHON)
	$(PYTHON) -m pytest $(ARGS)

bench: venv
	@set -e; for name in app benchmark detect emoji_recipe search spectrum; do \
		echo "== $$name"; $(PYTHON) -m tests.speed.$$name $(ARGS); done

venv: $(READY)

# Built again when the requirements change, and only then.
$(READY): requirements.txt requirements-dev.txt
	sh .ci/venv $(VENV)
	$(PYTHON) -m pip install --disable-pip-version-check -r requirements-dev.txt
	touch $@
