#!/bin/sh
# Become the first process of a small machine of its own: systemd, over this one's /usr. For support/machine.py.
# Runs in new mount, PID, cgroup, IPC and UTS namespaces; what the machine writes is in memory, and goes with it.
#   machine.sh ROOT SHARED...     ROOT: an empty folder; SHARED: folders that the machine sees, read-only
set -e
root=$1
shift
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$root"
cd "$root"
mkdir -p usr etc/systemd/system etc/ssl var run tmp proc sys dev opt root home old layers/usr layers/work
chmod 1777 tmp
mount -t overlay -o lowerdir=/usr,upperdir=layers/usr,workdir=layers/work overlay usr
for link in bin sbin lib lib32 lib64; do
	[ ! -L "/$link" ] || ln -s "usr/$link" "$link"
done
cp -a /etc/ld.so.cache /etc/hosts /etc/resolv.conf etc/ 2>/dev/null || true
cp -a /etc/ssl/. etc/ssl/ 2>/dev/null || true
printf 'passwd: files systemd\ngroup: files systemd\nhosts: files dns\n' >etc/nsswitch.conf
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/usr/sbin/nologin\n' >etc/passwd
printf 'root:x:0:\nnogroup:x:65534:\n' >etc/group
: >etc/machine-id
for shared; do
	mkdir -p ".$shared"
	mount --rbind "$shared" ".$shared"
	mount -o remount,bind,ro ".$shared"
done
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys # it is the kernel's, and this machine's as well
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
	touch "dev/$device"
	mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/shm dev/pts
mount -t tmpfs tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=755 tmpfs run
printf '[Unit]\nDescription=A machine for a test\n' >etc/systemd/system/machine.target
for unit in udevd.service udev-trigger.service networkd.service resolved.service sysusers.service \
	tmpfiles-setup.service tmpfiles-clean.timer; do
	ln -s /dev/null "etc/systemd/system/systemd-$unit"
done
pivot_root . old
umount -l /old
mount --make-rshared / # as it is where systemd boots: credentials get to services by it
exec env -i container=test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin /lib/systemd/systemd \
	--system --unit=machine.target --log-target=console --show-status=no </dev/null
