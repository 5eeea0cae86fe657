#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Builds what runs in dom0 (tools/dom0-agent) for a dom0 of another Debian release than this machine's, with that release's libraries:
# libxenctrl must be of the hypervisor's own version.
#
#   usage: make-helpers.sh SOURCE-TREE SYSROOT OUT-DIR
set -eu

source=$1
sysroot=$2
out=$3
libraries=$sysroot/usr/lib/x86_64-linux-gnu # named: a compiler that is not a cross compiler looks beside itself first
agent=$source/tools/dom0-agent
base=$source/tools/base

build() { # PROGRAM SOURCE...
	program=$1
	shift
	${CC:-cc} -std=gnu17 -D_GNU_SOURCE -D__XEN_TOOLS__ -O2 --sysroot="$sysroot" -B"$libraries" -L"$libraries" -iquote "$source" -o "$out/$program" "$@" \
		-lxenctrl -lxenforeignmemory -lxenstore -lpthread
}

mkdir -p "$out"
build xenolith-guest "$base/file.c" "$base/process.c" "$base/report.c" "$base/text.c" "$agent/console.c" "$agent/disk.c" "$agent/domain.c" \
	"$agent/forward.c" "$agent/guest.c" "$agent/result.c"
build xenolith-hotplug "$base/report.c" "$base/text.c" "$agent/hotplug.c"
