#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Builds the lab's dom0 from unpacked Debian packages.
#
#   usage: make-image.sh DEB-LIST OUT-DIR
#
# DEB-LIST names one .deb a line. OUT-DIR gets: xen (the hypervisor, gunzipped, since QEMU's -kernel does not do that),
# vmlinuz, initramfs.gz, dom0.img (ext4), and where libxen-dev is on the list sysroot (for make-helpers.sh). Packages are unpacked, not installed: no maintainer script runs, so no root
# rights are needed (`xenolith lab` runs this as root of a user namespace, so that the files belong to root).
# Everything that changes while the lab is developed (start-up script, agent, helpers) comes in by the 9p share and is not
# in the image.
set -eu

list=$1
out=$2
work=$out/work
root=$work/root
kernel=$work/kernel

# What dom0 needs of the kernel package's 4000 modules; what they depend on is added.
modules="virtio_pci virtio_blk virtio_net virtio_scsi virtio_rng sd_mod scsi_mod ext4 9p 9pnet_virtio loop bridge tun veth
xen-netback xen-blkback xen-gntdev xen-gntalloc xen-evtchn xen-privcmd xenfs xen-pciback
nf_tables nft_nat nft_chain_nat nft_masq nft_ct dm-mod dm-log-writes dm-flakey dm-delay dm-snapshot
sch_netem sch_tbf sch_ingress cls_u32 af_packet nbd"

unpack() {
	rm -rf "$work"
	mkdir -p "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/usr/lib64" "$kernel/usr/lib"
	ln -s usr/lib "$kernel/lib" # releases differ in where modules are
	for dir in bin sbin lib lib64; do
		ln -s "usr/$dir" "$root/$dir"
	done
	while read -r deb; do
		case $deb in
		*/linux-image-[0-9]* | */xen-hypervisor-*) dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$kernel" --keep-directory-symlink --no-same-owner ;;
		*/linux-image-* | */initramfs-tools* | */linux-base_* | */udev_* | */python3-doc*) ;;
		*) dpkg-deb --fsys-tarfile "$deb" | tar -x -p -C "$root" --keep-directory-symlink --no-same-owner \
			--exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' \
			--exclude='./usr/share/info/*' --exclude='./usr/share/lintian/*' ;;
		esac
	done < "$list"
}

# The files of the wanted modules and of all they need, relative to the modules' directory, needed ones first.
module_files() {
	for module in $modules; do
		modprobe -d "$kernel" -S "$version" --show-depends "$module" 2>> "$work/modprobe.log" || true
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

copy_modules() {
	version=$(basename "$kernel"/lib/modules/*)
	find "$kernel/lib/modules" -name '*.ko.xz' -exec xz -d {} + # busybox's insmod takes them plain
	depmod -b "$kernel" "$version"
	for file in $(module_files); do
		install -D -m 644 "$file" "$root/usr/lib/modules/$version/${file#*/lib/modules/"$version"/}"
	done
	cp "$kernel/lib/modules/$version"/modules.builtin* "$kernel/lib/modules/$version/modules.order" "$root/usr/lib/modules/$version/"
	depmod -b "$root" "$version"
}

# What maintainer scripts would have made.
finish_root() {
	mkdir -p "$root/dev" "$root/proc" "$root/sys" "$root/run" "$root/tmp" "$root/share" "$root/host" "$root/etc/xen" "$root/root" \
		"$root/var/log/xen" "$root/var/lib/xen" "$root/etc/default"
	rm -rf "$root/var/run" "$root/var/lock"
	ln -s /run "$root/var/run"
	ln -s /run/lock "$root/var/lock"
	chmod 1777 "$root/tmp"
	[ -e "$root/usr/bin/sh" ] || ln -s dash "$root/usr/bin/sh"
	for name in awk sed grep ip ps vi less find xargs hostname mount umount losetup ping wget nc udhcpc udhcpd tar gzip gunzip \
		modprobe insmod rmmod depmod lsmod killall pkill pgrep top free dmesg sysctl stty setsid timeout watch diff ifconfig \
		brctl route traceroute hexdump strings telnet which clear reset ionice chrt kill; do
		[ -e "$root/usr/bin/$name" ] || [ -e "$root/usr/sbin/$name" ] || ln -s busybox "$root/usr/bin/$name"
	done
	[ -e "$root/usr/bin/python3" ] || ln -s "$(basename "$(ls "$root"/usr/bin/python3.*[0-9])")" "$root/usr/bin/python3"
	printf 'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n' > "$root/etc/passwd"
	printf 'root:x:0:\nnogroup:x:65534:\n' > "$root/etc/group"
	printf '127.0.0.1 localhost\n' > "$root/etc/hosts"
	printf 'dom0\n' > "$root/etc/hostname"
	printf 'passwd: files\ngroup: files\nhosts: files dns\n' > "$root/etc/nsswitch.conf"
	ln -sf /proc/self/mounts "$root/etc/mtab"
	ldconfig -r "$root"
}

# What a compiler needs to build for this dom0: headers, and libraries of its own release.
take_sysroot() {
	[ -e "$root/usr/include/xenctrl.h" ] || return 0
	libraries=usr/lib/x86_64-linux-gnu
	loader=lib64/ld-linux-x86-64.so.2 # its link is absolute
	mkdir -p "$out/sysroot/$libraries" "$out/sysroot/usr/lib64"
	ln -s usr/lib usr/lib64 "$out/sysroot/"
	mv "$root/usr/include" "$out/sysroot/usr/"
	[ ! -d "$root/usr/lib/linux/uapi" ] || { mkdir "$out/sysroot/usr/lib/linux" && mv "$root/usr/lib/linux/uapi" "$out/sysroot/usr/lib/linux/"; }
	ln -s "../lib/x86_64-linux-gnu/$(basename "$(readlink "$root/usr/$loader")")" "$out/sysroot/usr/$loader"
	cp -a "$root/$libraries"/lib*.so* "$root/$libraries"/ld-* "$root/$libraries"/*.o "$root/$libraries"/libc_nonshared.a "$out/sysroot/$libraries/"
	find "$out/sysroot/$libraries" -lname '/*' | while read -r link; do # /lib there is usr/lib here
		ln -sf "$(basename "$(readlink "$link")")" "$link"
	done
	rm -f "$root/$libraries"/*.a
}

# stage_modules TREE MODULE...: copies modules with what they need, and the order to load them in.
stage_modules() {
	tree=$1
	shift
	mkdir -p "$tree/modules"
	for module in "$@"; do
		modprobe -d "$kernel" -S "$version" --show-depends "$module"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r file; do
		cp "$file" "$tree/modules/"
		basename "$file" >> "$tree/modules/order"
	done
}

pack() { # TREE
	(cd "$1" && find . | cpio -o -H newc -R 0:0 --quiet)
}

# Its /init is ours (tools/linux-guest) and is added by the tool.
make_linux_guest() {
	tree=$work/linux-guest
	mkdir -p "$tree/bin" "$tree/sbin" "$tree/dev" "$tree/proc" "$tree/sys"
	cp "$root/bin/busybox" "$tree/bin/"
	stage_modules "$tree" xen-blkfront xen-netfront ext4
	cat > "$tree/udhcpc.sh" <<-'EOF'
		#!/bin/busybox sh
		[ "$1" = bound ] || [ "$1" = renew ] || exit 0
		/bin/busybox ifconfig "$interface" "$ip" netmask "$subnet" up
		for gateway in $router; do /bin/busybox route add default gw "$gateway"; done
		for server in $dns; do echo "nameserver $server"; done > /root/run/resolv.conf
		echo "$ip" > /root/run/address
	EOF
	printf '#!/bin/busybox sh\nexec /bin/busybox kill -TERM 1\n' > "$tree/sbin/poweroff"
	chmod 755 "$tree/udhcpc.sh" "$tree/sbin/poweroff"
	pack "$tree" > "$out/linux-guest.cpio"
}

make_initramfs() {
	tree=$work/initramfs
	mkdir -p "$tree/bin" "$tree/dev" "$tree/proc" "$tree/new"
	cp "$root/bin/busybox" "$tree/bin/"
	stage_modules "$tree" virtio_pci virtio_blk ext4 9pnet_virtio 9p
	cat > "$tree/init" <<-'EOF'
		#!/bin/busybox sh
		/bin/busybox mount -t proc proc /proc
		/bin/busybox mount -t devtmpfs dev /dev
		while read -r file; do /bin/busybox insmod /modules/$file; done < /modules/order
		/bin/busybox mount -t ext4 -o noatime /dev/vda /new || exec /bin/busybox poweroff -f
		/bin/busybox mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288 share /new/share || exec /bin/busybox poweroff -f
		/bin/busybox mount --move /dev /new/dev
		/bin/busybox mount --move /proc /new/proc
		exec /bin/busybox switch_root /new /share/dom0/start
	EOF
	chmod 755 "$tree/init"
	pack "$tree" | gzip -1 > "$out/initramfs.gz"
}

# The kernel proper out of its bzImage (Linux's x86 boot protocol: setup_sects, payload_offset, payload_length): unpacking it for
# each guest takes an emulated processor 4 s.
number() { # FILE OFFSET SIZE
	od -An -tu"$3" -j "$2" -N "$3" "$1" | tr -d ' '
}
make_linux_kernel() {
	image=$kernel/boot/vmlinuz-$version
	start=$((($(number "$image" 497 1) + 1) * 512 + $(number "$image" 584 4)))
	tail -c +$((start + 1)) "$image" | head -c "$(number "$image" 588 4)" | xz -dc --single-stream > "$out/linux-guest.elf"
}

unpack
take_sysroot
copy_modules
finish_root
make_initramfs
# The Linux guest to compare with is of this machine's own release, whatever Xen it runs on.
if [ ! -e "$out/sysroot" ]; then
	make_linux_guest
	make_linux_kernel
fi
cp "$kernel/boot/vmlinuz-$version" "$out/vmlinuz"
gunzip -c "$kernel"/boot/xen-4.*-amd64.gz > "$out/xen"
mke2fs -q -t ext4 -O ^has_journal -d "$root" "$out/dom0.img" 1G
rm -rf "$work"
