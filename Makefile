# Everything here needs Python 3.11 or later and nothing else: each target makes its own environment. Only lint and
# site-test ask for node and npm too, for the script of the page.
PYTHON ?= python3
VENV := .venv
QUICK := $(addprefix tests/,test_rules.py test_protocol.py test_bound.py test_books.py test_stop.py test_summary.py test_chunks.py test_table.py)
BIN := $(VENV)/bin
# What is installed is compiled when it is imported, once: most of it never is.
INSTALL := $(BIN)/python -m pip install --quiet --no-compile --editable
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo quick test site-test wheel pythons lint docs site site-serve bench fuzz clean

demo: $(VENV)/.core
	$(BIN)/latentem demo

# What is worth running while one thinks: under a minute on two cores.
quick: lint $(VENV)/.test
	$(BIN)/python -m pytest -q -n auto --dist worksteal $(QUICK)

test: $(VENV)/.test
	$(BIN)/python -m pytest -n auto --dist worksteal

# The pages in a real browser. It installs what it needs where it can, and says what is missing where it cannot.
site-test: $(VENV)/.browser node_modules/.done
	.ci/browser
	$(BIN)/python -m pytest -n auto --dist worksteal tests/site

# All tests of what a user installs: the wheel, in an environment of its own; TESTS are arguments of pytest.
wheel:
	.ci/wheel $(PYTHON) $(TESTS)

# The same under Python 3.11, 3.12 and 3.13, as far as they are here.
pythons:
	.ci/pythons $(TESTS)

lint: $(VENV)/.lint node_modules/.done
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	npm run --silent lint

docs: $(VENV)/.docs
	$(BIN)/python docs/figures/faithful.py

# The documentation as a site, in build/site; a warning is an error. npm brings MathJax, and a reader needs no network.
site: $(VENV)/.docs build/mathjax/tex-svg.js
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/site

site-serve: site
	$(BIN)/python -m http.server --directory build/site 8000

build/mathjax/tex-svg.js:
	mkdir -p build/mathjax
	cd build/mathjax && npm pack --silent mathjax@3.2.2 && tar -xzf mathjax-3.2.2.tgz package/es5/tex-svg.js
	mv build/mathjax/package/es5/tex-svg.js $@
	rm -r build/mathjax/package build/mathjax/mathjax-3.2.2.tgz

# Random fits, for FUZZ_MINUTES, from FUZZ_SEED on.
fuzz: export FUZZ_MINUTES ?= 20
fuzz: $(VENV)/.test
	$(BIN)/python -m pytest -s --timeout 0 tests/fuzz

bench: $(VENV)/.bench
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m benchmarks  # else threads of a rival spin while ours are timed

clean:
	rm -rf $(VENV) node_modules build dist docs/gallery

$(VENV)/.core: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) .
	touch $@

$(VENV)/.test $(VENV)/.lint $(VENV)/.docs $(VENV)/.bench $(VENV)/.browser: $(VENV)/.%: $(VENV)/.core
	$(INSTALL) ".[$*]"
	touch $@

# What checks the script of the page, and what the tests of the pages ask whether these are accessible.
node_modules/.done: package.json package-lock.json
	@command -v npm >/dev/null || { echo "npm is missing, which checks latentem/teaching/page/page.js: install node 20 \
	or later with npm (Debian: apt-get install nodejs npm)" >&2; exit 1; }
	npm ci --silent --no-audit --no-fund
	touch $@
