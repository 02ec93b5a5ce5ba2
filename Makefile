# Everything that these commands fetch or build is under .local/; nothing is installed on the machine.
PYTHON ?= python3
BIN := .local/venv/bin
# uv trusts the certificates that the machine trusts.
export UV_SYSTEM_CERTS := 1
UV := $(or $(shell command -v uv),.local/uv/bin/uv)

# Processes that run tests at the same time.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

PIN := --quiet --upgrade --universal --python-version 3.10 --generate-hashes --no-header --no-annotate

.PHONY: help demo needs picture test unit faults deploy rollbacks sweep adopting removing provenance apps browser lint integ engines fuzz incidents versions bench wheel pyz image requirements clean burst

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: needs .local/venv/.stamp  ## deploy on an AWS on this machine: healthy images, and broken ones that are refused
	$(BIN)/python -m local_aws.demo

needs:
	@$(PYTHON) local_aws/demo/needs.py

picture: .local/venv/.stamp  ## draw the README's picture of a refused deploy from the last demo
	$(BIN)/python -m release.picture

test: .local/venv/.stamp  ## run all tests, with real deploys on an AWS on this machine
	$(PYTEST)

unit: .local/venv/.stamp  ## run the tests that need no AWS and no engine, and the tests of the docs
	$(PYTEST) tests/unit tests/faults tests/corpus tests/checks tests/explanations tests/docs

faults: .local/venv/.stamp  ## give every call of the verifier every fault, in every event, and count them
	$(PYTEST) --dist worksteal --ignore tests/faults/test_memory.py tests/faults

deploy: .local/venv/.stamp  ## run the real deploys, and the tests of the local AWS and engines
	$(PYTEST) tests/deploy tests/local_aws tests/local_engines

sweep: .local/venv/.stamp  ## sweep 20,000 images in 300 repositories; Lambdas die, and the sweep is resumed
	$(BIN)/python -m pytest -s -m exhaustive tests/deploy/test_registry_sweep.py tests/deploy/test_large_sweep.py

rollbacks: .local/venv/.stamp  ## roll back and delete real stacks with every image and fault; deploy has a sample
	$(BIN)/python -m pytest -m exhaustive tests/deploy/test_rollbacks.py

burst: .local/venv/.stamp  ## push 1,000 images at once to a guarded registry, and one by docker (root, Debian); deploy has a sample
	$(BIN)/python -m pytest -s -m exhaustive tests/deploy/test_registry_guard.py

adopting: .local/venv/.stamp  ## take a running stack through docs/adopting.md: report, let pass, protect, go back
	$(BIN)/python -m pytest -m exhaustive tests/deploy/test_adopting.py

removing: .local/venv/.stamp  ## take the library out of a deployed stack with a shared verifier, as docs/removing.md says
	$(BIN)/python -m pytest -m exhaustive tests/deploy/test_removing.py

provenance: .local/venv/.stamp  ## run every command of docs/provenance.md, with a generator of SBOMs from npm
	$(BIN)/python -m pytest -m exhaustive tests/local_aws/test_provenance.py

apps: .local/venv/.stamp  ## synthesize apps of common shapes plain, protected and swapped, and compare the templates
	$(BIN)/python -m release.apps

browser: .local/venv/.stamp  ## test the HTML reports in Debian's Chromium
	$(BIN)/python -m pytest tests/browser

lint: .local/venv/.stamp  ## run ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

integ: .local/venv/.stamp  ## deploy, roll back and delete a stack in your own AWS account; costs cents
	$(BIN)/python -m release.integ

engines: .local/venv/.stamp  ## compare verdicts with real containerd and dockerd (root, Debian)
	$(BIN)/python -m release.engines

fuzz: .local/venv/.stamp  ## feed hostile images, registries and files to the verifier and the command for FUZZ_SECONDS=180
	$(BIN)/python -m release.fuzz --seconds $(or $(FUZZ_SECONDS),180) --seed $(or $(FUZZ_SEED),0)

incidents: .local/venv/.stamp  ## reproduce both incidents with the original tools (root, Debian)
	$(BIN)/python -m release.incidents

versions: .local/venv/.stamp  ## run the unit tests on every Python of this machine, with the oldest and newest dependencies
	$(BIN)/python -m release.versions

bench: .local/venv/.stamp  ## measure speed and memory, side by side with other tools
	$(BIN)/python -m benchmarks

wheel: .local/venv/.stamp  ## build and check both distributions, as wheels and sdists in dist/
	rm -f dist/*.whl dist/*.tar.gz
	for project in . cdk_safe_image; do $(BIN)/python -m build --no-isolation --outdir dist $$project || exit 1; done
	$(BIN)/twine check --strict dist/*.whl dist/*.tar.gz
	for wheel in dist/*.whl; do $(BIN)/check-wheel-contents $$wheel || exit 1; done

requirements: | $(filter .local/%,$(UV))  ## pin today's versions of all dependencies, with their hashes
	for name in uv local-aws aws-cli; do \
		$(UV) pip compile $(PIN) requirements/$$name.in -o requirements/$$name.txt || exit 1; done
	$(UV) pip compile $(PIN) pyproject.toml -o requirements/pyz.txt
	$(UV) pip compile $(PIN) requirements/dev.in --group dev --no-emit-package safe-image \
		--no-emit-package cdk-safe-image -o requirements/dev.txt

pyz: .local/venv/.stamp  ## build the command as one file, dist/safe-image.pyz
	$(BIN)/python -m release.pyz dist/safe-image.pyz

image: .local/venv/.stamp  ## build the command as an image for amd64 and arm64, and check it (Docker, or root on Debian)
	$(BIN)/python -m release.image

clean:  ## remove everything that these commands made
	rm -rf .local dist cdk.out .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.local/uv/bin/uv: requirements/uv.txt
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || apt-get install -qq -y python3-pip || \
		{ echo "pip is missing: install it for $(PYTHON) (Debian: apt-get install python3-pip)" >&2; exit 1; }
	$(PYTHON) -m pip install --quiet --upgrade --target .local/uv --require-hashes --requirement requirements/uv.txt
	@touch $@

.local/venv/.stamp: pyproject.toml cdk_safe_image/pyproject.toml requirements/dev.txt | $(filter .local/%,$(UV))
	$(UV) venv --quiet --allow-existing --python $(PYTHON) .local/venv
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes --requirement requirements/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation \
		--editable . --editable ./cdk_safe_image
	@touch $@
