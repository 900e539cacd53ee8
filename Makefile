# The targets are short: what they do is in scripts/.
SHELL := /bin/bash
PROFILE := e2e
.DEFAULT_GOAL := help
.PHONY: help setup build release demo demo-down test test-fast lint bench clean

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## docker, k3d and helm, or the air-gap kit where no container registry is in reach
	@bash scripts/setup.sh --install-config >/dev/null

build: ## devenv, quickly built: target/e2e/devenv
	@cargo build --locked --profile $(PROFILE)

release: ## devenv as it is shipped: target/release/devenv
	@cargo build --locked --release

demo: ## set-up, build, and the example shop on a cluster
	@bash scripts/demo.sh

demo-down: ## the end of the demo: its cluster and data are removed
	@bash scripts/demo.sh down

test: ## set-up, lints and all tests
	@bash scripts/test.sh

test-fast: ## lints and the tests that need no cluster
	@bash scripts/test.sh fmt shell go clippy build unit hermetic shop scripts

lint: ## formatting, clippy, shellcheck, go vet
	@bash scripts/test.sh fmt shell go clippy

bench: build ## the figures of the README's table, measured here
	@bash scripts/with-tools.sh bash benches/figures.sh
	@bash scripts/with-tools.sh bash benches/by-hand.sh
	@bash scripts/with-tools.sh python3 benches/live.py
	@bash scripts/with-tools.sh python3 benches/data.py

clean: ## what builds and tests leave in target/, and clusters that broken tests left
	@bash scripts/clean-tests.sh
	@cargo clean
