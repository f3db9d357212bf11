#!/bin/sh
# Installs the Cargo subcommands that `just check` runs into the cache, once.
set -eu
cache=${DECENT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/decent-cloud}

for tool in cargo-deny@0.20.2 cargo-machete@0.9.2; do
  root=$cache/cargo-tools/$tool
  if [ ! -x "$root/bin/${tool%@*}" ]; then
    echo "  ${tool}: compiling, 1 to 2 minutes" >&2
    nice -n 10 cargo install --quiet --locked --root "$root" "$tool"
  fi
  mkdir -p "$cache/bin"
  ln -sf "$root/bin/${tool%@*}" "$cache/bin/"
done
