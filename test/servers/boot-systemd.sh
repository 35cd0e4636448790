#!/bin/bash
# Boots a real systemd as process 1 of new namespaces, over a copy of this machine's root that is kept in memory and
# goes with it. As root: boot-systemd.sh FOLDER NODE PACKAGE
#
#   FOLDER   a folder of this machine's, which is /mnt in there; to the FIFO `booted` in it is written when it has booted
#   NODE     a Node.js (the folder with its bin), which is /opt/node in there
#   PACKAGE  this package, which is /opt/s3-sysbackup in there
#
# Ends when systemd does. On SIGTERM it takes all of it along.
set -euo pipefail

outside() {
  # A cgroup of its own, which systemd takes for the root of all.
  hierarchy=$(findmnt --noheadings --first-only --types cgroup2 --output TARGET)
  group=$hierarchy/s3-sysbackup-test-$$
  mkdir "$group"
  trap clean EXIT
  (
    echo $BASHPID >"$group/cgroup.procs"
    exec unshare --mount --pid --fork --ipc --uts --cgroup --kill-child "$0" "$folder" "$node" "$package" inside
  ) &
  system=$!
  trap 'kill -KILL $system' TERM
  wait $system || wait $system || true
}

# The kernel takes some moments to end what was killed, and a group with a process in it cannot be removed.
clean() {
  for _ in $(seq 100); do
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
    [ -e "$group" ] || return 0
    sleep 0.05
  done
}

inside() {
  memory=$folder/memory root=$folder/root
  mount --make-rprivate /
  mkdir "$memory" "$root"
  mount -t tmpfs -o mode=755 tmpfs "$memory"
  mkdir "$memory/upper" "$memory/work"
  mount -t overlay -o "lowerdir=/,upperdir=$memory/upper,workdir=$memory/work" overlay "$root"
  mount -t proc proc "$root/proc"
  mount -t sysfs -o ro sysfs "$root/sys"
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  mount -t tmpfs -o mode=755 tmpfs "$root/dev"
  for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
  done
  mkdir "$root/dev/pts" "$root/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
  ln -s pts/ptmx "$root/dev/ptmx"
  ln -s /proc/self/fd "$root/dev/fd"
  mount -t tmpfs -o mode=755 tmpfs "$root/run"
  mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
  mkdir -p "$root/opt/node" "$root/opt/s3-sysbackup"
  mount --bind "$node" "$root/opt/node"
  mount --bind "$package" "$root/opt/s3-sysbackup"
  mount --bind "$folder" "$root/mnt"
  units
  exec env --ignore-environment PATH=/usr/sbin:/usr/bin:/sbin:/bin container=test \
    unshare --root="$root" --wd=/ /lib/systemd/systemd --unit=test.target --show-status=no
}

# Of this machine's own units next to none runs there: they would set up the one kernel that both have.
units() {
  local own=$root/etc/systemd/system
  rm -rf "$own" "$root/etc/fstab" "$root/etc/backup" "$root/var/lib/s3-sysbackup"
  mkdir "$own"
  for unit in sysctl modules-load remount-fs update-utmp journal-flush sysusers tmpfiles-setup tmpfiles-setup-dev \
    udevd udev-trigger; do
    ln -s /dev/null "$own/systemd-$unit.service"
  done
  cat >"$own/test.target" <<'UNIT'
[Unit]
Requires=systemd-journald.service booted.service
UNIT
  cat >"$own/booted.service" <<'UNIT'
[Unit]
After=systemd-journald.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'echo booted >/mnt/booted'
UNIT
}

folder=$1 node=$2 package=$3
"${4:-outside}"
