#!/bin/sh
# The first process of a guest, in namespaces of its own: makes a root of its own out of the machine's programs and
# the guest's disk, and becomes the guest's sshd.
#   boot.sh FOLDER NAME USER SSHD
set -eu
folder=$1 name=$2 user=$3 sshd=$4
root=$folder/root

layer() {
  mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/disk/upper,workdir=$folder/disk/work" "$root"
}

mkdir -p "$root" "$folder/disk/upper" "$folder/disk/work"
if ! layer; then
  # A folder that can't be the upper layer (it is itself on an overlay): then the disk lasts for this boot.
  mount -t tmpfs tmpfs "$folder/disk"
  mkdir "$folder/disk/upper" "$folder/disk/work"
  layer
fi

# Programs and settings are the machine's; of its people and their work nothing is to be seen.
for entry in "$root"/*; do
  case ${entry#"$root"/} in
  bin | sbin | lib* | usr | etc | var | proc | sys) continue ;;
  esac
  if [ -d "$entry" ] && [ ! -L "$entry" ]; then
    mount -t tmpfs -o mode=0755 tmpfs "$entry"
  fi
done
chmod 1777 "$root/tmp"
mkdir "$root/run/sshd"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
for device in null zero full random urandom tty; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"

# What cloud-init does.
echo "$name" >/proc/sys/kernel/hostname
rm -rf "$root/etc/ssh"
cp -R "$folder/etc/." "$root/etc/"
chmod 0700 "$root/root"
if [ "$user" != root ]; then
  mkdir -p "$root/home/$user"
  chown 1000:1000 "$root/home/$user"
fi

exec chroot "$root" "$sshd" -D -e -f /etc/ssh/sshd_config
