# What one does here: ./justw RECIPE. Logic longer than a few lines lives in xtask/ and tools/.

features := "operator/dev-flags"
target := env("CARGO_TARGET_DIR", justfile_directory() / "target")
debug := target / "debug"

# List the recipes.
default:
    @just --list --unsorted

# One contract becomes a machine, on real parts: --keep leaves them up, --json prints the result last.
demo *ARGS: tools _build
    @{{ debug }}/xtask demo {{ ARGS }}

# Remove everything that `demo --keep` left.
demo-down: _build
    @{{ debug }}/xtask demo-down

# Everything: check, then all Rust tests and the stories on one control plane. Options go to pytest.
test *ARGS: tools check
    {{ debug }}/testbed run -- just _tests {{ ARGS }}

# Only the stories: ./justw e2e -k expiry
e2e *ARGS: tools _build
    {{ debug }}/testbed run -- just _stories {{ ARGS }}

# The stories once under each fault of Proxmox, one after the other; some: ./justw test-faults -k lifecycle
test-faults *ARGS: tools _build
    {{ debug }}/testbed run -- just _faults {{ ARGS }}

# The quick part: format, lints, docs, dependencies, purity, generated files.
check: _packages _build
    tools/check.sh {{ features }} {{ debug }}/xtask

# Measure, with its own baseline: ./justw bench provisioning
bench *ARGS: tools
    cargo build --release --workspace --features {{ features }}
    {{ target }}/release/xtask bench {{ ARGS }}

# Write the generated files: definitions, reference.
gen:
    cargo xtask gen

# Control plane and system packages for tests and demo; a second run does nothing.
tools: _packages
    @tools/build.sh

_packages:
    @tools/system-packages.sh

# One build for all recipes: a choice of packages would change features and compile much of it again.
_build:
    @cargo build --workspace --features {{ features }}

# Inside `testbed run`; pytest is last, so its summary is the last line.
_tests *ARGS: && (_stories ARGS)
    cargo test --quiet --workspace --features {{ features }} --lib --bins --tests -- --include-ignored
    cargo test --quiet --workspace --features {{ features }} --doc
    cargo test --quiet --workspace --lib p94_a_release

# Goes on after a fault that breaks stories, and fails in the end.
_faults *ARGS:
    #!/bin/sh
    cd tests/e2e && broken=
    for fault in $(uv run --quiet --frozen python -m decent.faults); do
      uv run --quiet --frozen pytest --fault "$fault" {{ ARGS }} || broken="$broken $fault"
    done
    test -z "$broken" || { echo "stories broke under:$broken" >&2; exit 1; }

_stories *ARGS:
    uv run --quiet --frozen --project tests/e2e pytest tests/e2e {{ ARGS }}
