.PHONY: format check test test-slow test-campaign docs package

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

docs:
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict

package:
	.ci/package
