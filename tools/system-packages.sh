#!/bin/sh
# Installs the system packages that tests and demo use, from the machine's own release: as root on Debian.
# Elsewhere it names what is missing in one line and goes on.
#   tools/system-packages.sh [PACKAGE…]
set -eu

# what is missing, given "<command>:<package>" pairs
missing() {
  for pair in "$@"; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" >/dev/null 2>&1 || echo "${pair##*:}"
  done
}

packages=${*:-$(missing setpriv:util-linux flock:util-linux ip:iproute2 nft:nftables sshd:openssh-server \
  ssh:openssh-client conntrack:conntrack curl:curl openssl:openssl cc:gcc shellcheck:shellcheck)}
[ -n "$packages" ] || exit 0
packages=$(echo "$packages" | sort -u | tr '\n' ' ')
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "Missing system packages (names as in Debian), please install them: $packages" >&2
  exit 0
fi

# A package's service is not started by its installation: only our own processes shall run.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
# shellcheck disable=SC2086 # a list of words
apt-get -qq install --no-install-recommends $packages >/dev/null
echo "✓ system packages          $packages"
