.PHONY: format check test test-slow package

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

package:
	.ci/package
