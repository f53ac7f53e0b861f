.PHONY: format check test test-slow test-campaign package

format:
	ruff check --fix .
	ruff format .

check:
	ruff check .
	ruff format --check .
	mypy
	lint-imports --no-logo

test:
	pytest

test-slow:
	pytest -m slow

test-campaign:
	pytest -m campaign

package:
	.ci/package
