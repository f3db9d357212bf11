#!/bin/sh
# The quick checks of the whole tree: tools/check.sh FEATURES XTASK. One line per check; a failure shows its output.
set -eu
cd "$(dirname "$0")/.."
features=$1
xtask=$2
tools/cargo-tools.sh
PATH=${DECENT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/decent-cloud}/bin:$PATH
output=$(mktemp)
trap 'rm -f "$output"' EXIT

step() {
  name=$1
  shift
  start=$(date +%s)
  if "$@" >"$output" 2>&1; then
    printf '✓ %-24s %d s\n' "$name" $(($(date +%s) - start))
  else
    cat "$output"
    printf '✗ %-24s %s\n' "$name" "$*"
    exit 1
  fi
}

step format cargo fmt --all --check
step lints cargo clippy --workspace --all-targets -- -D warnings
step "lints with dev-flags" cargo clippy --workspace --all-targets --features "$features" -- -D warnings
step docs env RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --workspace --no-deps
step dependencies cargo deny --locked check bans licenses sources
step "unused dependencies" cargo machete
step purity "$xtask" purity
step "stories' lints" uv run --quiet --frozen --project tests/e2e ruff check tests/e2e
step "stories' format" uv run --quiet --frozen --project tests/e2e ruff format --check tests/e2e
step "generated files" "$xtask" gen --check
schema=../shared/proxmox/apidoc-9.2.json.gz
if [ -e "$schema" ]; then
  step "table of calls" "$xtask" api-table --check "$schema"
else
  echo "- table of calls           skipped: there is no API schema at $schema"
fi
if command -v shellcheck >/dev/null 2>&1; then
  step scripts shellcheck justw .ci/run tools/*.sh
else
  echo "- scripts                  skipped: shellcheck is not installed"
fi
