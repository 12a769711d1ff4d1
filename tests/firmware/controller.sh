#!/bin/sh
# Starts libvirtd where nobody else sees it, and then a command: inside a mount and a process
# namespace of its own, which end together.
#   controller.sh DIRECTORY COMMAND…
set -eu
directory=$1
shift

for place in /run/libvirt /var/lib/libvirt /etc/libvirt /var/cache/libvirt /var/log/libvirt; do
    mkdir -p "$place"
    mount -t tmpfs none "$place"
done
cat >/etc/libvirt/qemu.conf <<'END'
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
remember_owner = 0
stdio_handler = "file"
END
# libvirt looks its usual user up, also where it uses another.
for kind in passwd group; do
    cp "/etc/$kind" "$directory/$kind"
done
grep -q '^libvirt-qemu:' "$directory/passwd" ||
    echo 'libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin' >>"$directory/passwd"
for name in libvirt-qemu:64055 kvm:64056; do
    grep -q "^${name%:*}:" "$directory/group" ||
        echo "${name%:*}:x:${name#*:}:" >>"$directory/group"
done
for kind in passwd group; do
    mount --bind "$directory/$kind" "/etc/$kind"
done

: >"$directory/libvirtd.conf"
libvirtd --config "$directory/libvirtd.conf" 2>"$directory/libvirtd.log" &
# Not in place of this shell: it is the first process here, and reaps what libvirt leaves behind.
"$@"
