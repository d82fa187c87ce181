#!/bin/bash
# The first process of a user-mode Linux guest whose kernel knows ESP and whose root is the host's, read only. It runs
# guest.sh of the folder SA_DIR on the kernel's command line, until that ends or the host takes the guest away.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
SA_DIR=$(sed -n 's/.*SA_DIR=\([^ ]*\).*/\1/p' /proc/cmdline)
mkdir -p /run/root/lib/modules
ln -s "/usr/lib/uml/modules/$(uname -r)" "/run/root/lib/modules/$(uname -r)"
printf '#!/bin/bash\nexec /sbin/modprobe -d /run/root "$@"\n' >/run/modprobe
chmod +x /run/modprobe
echo /run/modprobe >/proc/sys/kernel/modprobe
for module in ipv6 xfrm_user esp4 esp6 authenc cbc hmac md5 sha1_generic crypto_null gcm ghash-generic ctr seqiv echainiv; do
  /run/modprobe -q "$module"
done
ip link set lo up
mount -t tmpfs tmpfs /dev/shm 2>/dev/null
cd "$SA_DIR" && bash guest.sh
echo o >/proc/sysrq-trigger
sleep 2
