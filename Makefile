# Everything runs in .venv, which is made on first use and again when pyproject.toml or requirements.txt changes.
# Nothing but make and Python >= 3.11 is needed beforehand. `make` alone lists the targets.

VENV    := .venv
BENCH   := .venv-bench
PY      := $(VENV)/bin/python
INSTALL := $(PY) -m pip --disable-pip-version-check install --quiet --quiet
PYTHONS  = $(or $(PYTHON),python3.13 python3.12 python3.11 python3)
JOBS    ?= 2
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 VECLIB_MAXIMUM_THREADS=1

# A path or home of another Python would come before the packages of .venv.
unexport PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help notebooks lab test test-gpu sync lint verify equations oracles bench bench-ops bench-gpu fashion recipe docs lite claims course grade mutation clean

help:  ## list the targets
	@echo "minicl: contrastive learning from the first derivative up"; echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo; echo "  PYTHON=...  the Python that makes .venv (>= 3.11)       NB=09    only the notebooks named 09..."
	@echo "  JOBS=2      processes of make test                       ARGS=... handed on to pytest or JupyterLab"

notebooks: $(VENV)/.notebooks  ## run every notebook; executed copies and web pages go to build/notebooks
	@$(PY) -m notebooks.build run $(NB)

lab: $(VENV)/.notebooks  ## open the executed copies in JupyterLab
	@$(PY) -m notebooks.build lab -- $(ARGS)

test: $(VENV)/.test  ## run the tests, the notebooks in their fast profile included
	$(ONE_THREAD) $(PY) -m pytest -n $(JOBS) --dist worksteal $(ARGS)

test-gpu: $(VENV)/.test  ## the tests of computing, with CuPy on a GPU; without one it says so and fails
	@$(ONE_THREAD) $(PY) -m pytest --gpu $(ARGS)

sync: $(VENV)/.notebooks  ## run the .py sources in the full profile and store them as the tracked .ipynb
	@$(PY) -m notebooks.build sync $(NB)

lint: $(VENV)/.test  ## check the style of code and notebooks with ruff
	$(PY) -m ruff check .

verify: $(VENV)/.test  ## hold every loss against its closed form, differences and torch; check every derivation
	@$(ONE_THREAD) $(PY) -m minicl.verify
	@$(ONE_THREAD) $(PY) -m minicl.derivations

equations: $(VENV)/.test  ## count the displayed equations, and how many of them are executed
	@$(ONE_THREAD) $(PY) -m notebooks.equations

claims: $(VENV)/.test  ## run the check behind each claim of the article; writes docs/claims.md, fails if a verdict does not hold
	@$(ONE_THREAD) $(PY) -m docs.claims $(ARGS)

docs: $(VENV)/.docs  ## build the site of docs/, notebooks, derivations and API; a warning or a dead link is an error
	@$(ONE_THREAD) $(PY) -m docs.build $(ARGS)

lite: $(VENV)/.lite  ## the notebooks as a page that runs them in the browser, in build/lite; ARGS=serve shows it
	@$(PY) -m docs.lite $(ARGS)

oracles: $(VENV)/.test  ## install torch, jax and autograd, which some tests compare with (they skip without)
	@$(INSTALL) "torch==2.13.0" "jax==0.10.2" "autograd==1.9.1" "expecttest==0.3.0"

bench-ops: $(VENV)/.test  ## time every op, beside torch and autograd where they are installed
	$(PY) -m tests.benchmarks.ops $(ARGS)

bench-gpu: $(VENV)/.test  ## time CPU, GPU and torch, and how far they differ; without a GPU it says so and fails
	@$(PY) -m tests.benchmarks.gpu $(ARGS)

bench: $(BENCH)/.done  ## time losses, training steps and word2vec beside their peers; writes docs/benchmarks.md
	@$(BENCH)/bin/python -m tests.benchmarks.speed --out docs $(ARGS)

fashion: $(VENV)/.test  ## SimCLR on Fashion-MNIST and what its features are worth; goes on where it was stopped
	@$(PY) -m tests.benchmarks.fashion_mnist $(ARGS)

recipe: $(VENV)/.test  ## SimCLR on Fashion-MNIST, 3 seeds: few labels beside raw pixels and labels alone; goes on where it was
	@$(PY) -m tests.benchmarks.fashion_recipe $(ARGS)

course: $(VENV)/.course  ## make the assignments for students, without solutions, in build/course/release
	@$(PY) -m notebooks.assignments.course release $(NB)

grade: $(VENV)/.course  ## SUBMISSIONS=folder: scores and diagnoses, in build/course/grades
	@$(PY) -m notebooks.assignments.course grade "$(SUBMISSIONS)" $(NB) $(ARGS)

mutation: $(VENV)/.test  ## grade every wrong version and every right answer of the exercises; writes docs/grading.md
	@$(ONE_THREAD) $(PY) -m tests.mutation docs/grading.md

clean:  ## delete build/ (with the copies you edited in it) and caches; .venv stays
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis
	find minicl notebooks tests -name __pycache__ -prune -exec rm -rf {} +

$(PY):
	@for python in $(PYTHONS); do \
	    "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	    found=$$python; \
	    "$$python" -c 'import ensurepip, venv' 2>/dev/null || continue; \
	    echo "Making $(VENV) with $$("$$python" --version)"; \
	    exec "$$python" -m venv --clear $(VENV); \
	done; \
	if [ -n "$$found" ]; then \
	    echo "Error: $$found cannot make a virtual environment: its modules venv and ensurepip are missing."; \
	    echo "On Debian and Ubuntu: apt install python3-venv. Or name another Python: make PYTHON=/path/to/python"; \
	else \
	    echo "Error: minicl needs Python 3.11 or newer; none found among: $(PYTHONS)."; \
	    echo "Install one, or name it: make PYTHON=/path/to/python"; \
	fi >&2; exit 1

# The peers have an environment of their own; what cannot be installed is named in the table.
$(BENCH)/.done: $(PY) pyproject.toml
	@echo "Installing the peers into $(BENCH) (some minutes)"
	@$(PY) -m venv --clear $(BENCH)
	@$(BENCH)/bin/python -m pip --disable-pip-version-check install --quiet -e . matplotlib
	@for peer in torch jax autograd tinygrad gensim; do \
	    $(BENCH)/bin/python -m pip --disable-pip-version-check install --quiet --quiet $$peer || echo "without $$peer"; \
	done
	@touch $@

$(VENV)/.notebooks: $(PY) pyproject.toml requirements.txt
	@echo "Installing requirements.txt into $(VENV) (a minute or two)"
	@$(INSTALL) -r requirements.txt
	@touch $@

$(VENV)/.course: $(VENV)/.notebooks
	@echo "Installing nbgrader into $(VENV)"
	@$(INSTALL) -e ".[course]"
	@touch $@

$(VENV)/.test: $(VENV)/.notebooks
	@echo "Installing what the tests need into $(VENV)"
	@$(INSTALL) -e ".[test]"
	@touch $@

$(VENV)/.docs: $(VENV)/.notebooks
	@echo "Installing what the site needs into $(VENV)"
	@$(INSTALL) -e ".[docs]"
	@touch $@

$(VENV)/.lite: $(VENV)/.notebooks
	@echo "Installing JupyterLite into $(VENV)"
	@$(INSTALL) -e ".[lite]"
	@touch $@
