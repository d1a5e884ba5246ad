#!/usr/bin/env bash
# Runs go in this folder with the C library of the TensorFlow wheel in .venv, for example
# backend/go.sh test ./...; where PATH has no go that go.mod accepts, one is installed into .venv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
python=$PWD/../.venv/bin/python

wheel=$("$python" -c 'from importlib.util import find_spec
print(find_spec("tensorflow").submodule_search_locations[0])' 2>/dev/null) || {
	echo "backend/go.sh: no TensorFlow in .venv: make setup installs it" >&2
	exit 1
}

# The Go binding asks the linker for libtensorflow and knows nothing of the wheel's names.
mkdir -p lib
for pair in tensorflow:tensorflow_cc tensorflow_framework:tensorflow_framework; do
	link=lib/lib${pair%:*}.so
	library=$wheel/lib${pair#*:}.so.2
	test -e "$library" || {
		echo "backend/go.sh: $library is missing: the backend needs TensorFlow's wheel for Linux" >&2
		exit 1
	}
	test "$(readlink "$link" || true)" = "$library" || ln -sfn "$library" "$link"
done
export CGO_ENABLED=1
export CGO_CFLAGS="'-I$wheel/include'"
export CGO_LDFLAGS="'-L$PWD/lib' -ltensorflow_framework '-Wl,-rpath,$wheel'"

go=$(command -v go) && "$go" list -m >/dev/null 2>&1 || go=$PWD/../.venv/bin/go
test -x "$go" && "$go" list -m >/dev/null 2>&1 || "$python" -m pip --disable-pip-version-check \
	--no-input --quiet install --require-hashes -r requirements.lock
exec "$go" "$@"
