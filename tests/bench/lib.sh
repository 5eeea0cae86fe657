# SPDX-License-Identifier: BSD-2-Clause
#
# For benches (`. "$SOURCE/tests/bench/lib.sh"`): guests of the system under test, loads from dom0, and telling what was measured.
#
# A bench NAME.bench is run by run-bench once for each system and pass, and prints on standard output, by the functions here,
#   METRIC<tab>UNIT<tab>VALUE       a sample (a unit with a slash is a rate: more is better; else less is)
#   METRIC<tab>-<tab>! REASON       why there is none; METRIC * stands for all of the bench's
# and ends with 0. Another status says that the bench itself is broken: an error of the whole run. It finds in the environment
#   SYSTEM linux|xenolith   PASS 1..N   TYPE VCPUS MEMORY   XENOLITH the tool   BUILD SOURCE the trees
#   WORK   a directory of the bench's own, the same in all passes and for both systems: equal contents make one and the same image
#   KERNEL_WORD one for Xenolith's command line, or nothing
#   ICOUNT yes where a nanosecond is an instruction: units are told so
#   DOM0   a directory in dom0 (in memory), with first_answer and stream

GUEST_LIMIT=${GUEST_LIMIT:-120} # seconds after which a guest is taken to hang
LOAD_LIMIT=${LOAD_LIMIT:-60} # and a load that gets no answers
tab=$(printf '\t')

# sample METRIC VALUE UNIT [DIVISOR]
sample() {
    case ${ICOUNT:-no},$3 in
    yes,ns) set -- "$1" "$2" instructions "${4:-1}" ;;
    yes,ms) set -- "$1" "$2" Minstr. "${4:-1}" ;;
    yes,MB/s) set -- "$1" "$2" B/1000instr. "${4:-1}" ;;
    esac
    if awk -v v="$2" 'BEGIN { exit !(v ~ /^[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?$/) }'; then
        printf '%s\t%s\t%s\n' "$1" "$3" "$(awk -v v="$2" -v d="${4:-1}" 'BEGIN { printf "%.9g", v / d }')"
    else
        cannot "$1" "no number came: '$2'"
    fi
}

# cannot METRIC REASON
cannot() {
    printf '%s\t-\t! %s\n' "$1" "$(printf '%s' "$2" | tr '\t\n\r' '   ' | cut -c 1-200)"
}

# broken WHAT: the bench is broken, not the guest; what to do about it belongs into the text.
broken() {
    echo "bench: $*" >&2
    exit 3
}

# linux_kernel: Debian's kernel as guests get it, unpacked; the newest of the lab's images.
linux_kernel() {
    # shellcheck disable=SC2012 # names of ours
    linux_elf=$(ls -t "${XDG_CACHE_HOME:-$HOME/.cache}"/xenolith/lab/*/linux-guest.elf 2> /dev/null | head -1)
    [ -n "$linux_elf" ] || broken "no kernel of Debian's in the lab's image: run xenolith lab up once"
    echo "$linux_elf"
}

# samples_take FILE: lines "METRIC VALUE UNIT" and "METRIC ! REASON" of our programs; others are passed over.
samples_take() {
    while read -r metric value unit; do
        case $value in
        !) cannot "$metric" "$unit" ;;
        [0-9]*) [ -z "$unit" ] || [ "${unit% *}" != "$unit" ] || sample "$metric" "$value" "$unit" ;;
        esac
    done < "$1"
}

system_option() { if [ "$SYSTEM" = linux ]; then echo --linux; elif [ -n "$KERNEL_WORD" ]; then echo "--kernel-arg $KERNEL_WORD"; fi; }

# guest OPTION... -- PROGRAM...: runs it to its end, with its root on a disk if ROOT is not another place. Console in $WORK/out, what the tool says in $WORK/err.
guest() {
    # shellcheck disable=SC2046 # words or none
    "$XENOLITH" run --type "$TYPE" --memory "$MEMORY" --vcpus "$VCPUS" --root "${ROOT:-disk}" $(system_option) --timeout "$GUEST_LIMIT" --stats "$@" \
        > "$WORK/out" 2> "$WORK/err" < /dev/null
}

# bench_roots: the places of a root that can be measured. Where instructions are counted, not on a disk: to wait for
# one takes no instructions, and the clock jumps.
bench_roots() { if [ "${ICOUNT:-no}" = yes ]; then echo ramdisk; else echo ramdisk disk; fi; }

# figure NAME: a number of what --stats told; stage NAME: one of its line on the boot, NAME=NUMBER, whose names may be a figure's, too.
figure() { sed -n "s/^xenolith: $1: \([0-9]*\).*/\1/p" "$WORK/err" | head -1; }
stage() { sed -n "s/^xenolith: boot: .*\b$1=\([0-9]*\).*/\1/p" "$WORK/err" | head -1; }

# guest_failed STATUS: all of the bench cannot be had, and why; ends the pass. Images and the lab are the harness's business, not the guest's.
guest_failed() {
    cat "$WORK/err" "$WORK/out" >&2
    ! grep -qE '^xenolith: (apt-get |the lab is not running|cannot (unpack|make|write|copy|lay out|plug|put|reach) |a guest named|mke2fs|all of the lab|QEMU refused)' \
        "$WORK/err" ||
        broken "the guest's image or the lab is not there: $(tail -n 1 "$WORK/err")"
    reason=$(grep '^xenolith: ' "$WORK/err" | grep -vE '^xenolith: (boot|memory|create_ns|run_ns|output_ns|unpaused_ns|cpu_ns|memory_kib|address): ' |
        tail -n 1 | sed 's/^xenolith: //; s/; its console is in.*//; s/^bench-[a-z]*: //')
    [ -n "$reason" ] || reason=$(grep -v '^ *$' "$WORK/out" | tail -n 1)
    cannot '*' "status $1: $reason"
    exit 0
}

# ---- Servers: a guest that serves, and a load in dom0 ----------------------------------------------------------------

in_dom0() { "$XENOLITH" lab exec -n -- "$@"; }

# What dom0 does to find a guest (by its record) and wait for its first answer: prints its address, and when that was.
dom0_await='record=/share/guests/$1 address= tries=0
until [ ! -e "$record/released" ] && address=$(sed -n "s/^address=//p" "$record/record" 2> /dev/null) && [ -n "$address" ]; do
    tries=$((tries + 1)) && [ $tries -lt 600 ] && sleep 0.1 || exit 1
done
ip neigh replace "$address" lladdr "00:16:3e:10:02:$(printf %02x "${address##*.}")" dev xenbr0
at=$("$5/first_answer" "$address" "$2" "$3" "$4") && echo "$address $at"'

# serve PORT REQUEST OPTION... -- PROGRAM...: starts a server and waits until it answers; then server_address, server_answer_ns.
# server_end stops it; after that, figure tells of it.
serve() {
    server_name=bench-$(basename "$0" .bench) server_address='' server_answer_ns=''
    port=$1 request=$2
    shift 2
    : > "$WORK/await"
    in_dom0 sh -c "$dom0_await" sh "$server_name" "$port" "$GUEST_LIMIT" "$request" "$DOM0" > "$WORK/await" 2>> "$WORK/await.err" &
    waiter=$!
    { GUEST_LIMIT=1800 && guest --name "$server_name" "$@"; } &
    server=$!
    trap server_kill EXIT
    trap 'exit 143' TERM INT
    while kill -0 $waiter 2> /dev/null; do
        kill -0 $server 2> /dev/null || break
        sleep 0.2
    done
    read -r server_address server_answer_ns < "$WORK/await" || {
        kill $waiter 2> /dev/null
        if kill -0 $server 2> /dev/null; then
            server_end
            cannot '*' "no answer on port $port within $GUEST_LIMIT s"
            exit 0
        fi
        status=0
        wait $server || status=$?
        trap - EXIT
        guest_failed $status
    }
}

server_kill() { "$XENOLITH" stop "$server_name" > /dev/null 2>&1; }

server_end() {
    trap - EXIT
    server_kill
    wait $server || true # its status is what the signal made of it
}

# load_failed WHAT: a load came to nothing; no more is asked of this guest.
load_failed() {
    cannot '*' "$1: $(grep -v '^ *$' "$WORK/load" | tail -n 1)"
    server_end
    exit 0
}

# ship NAME: a program of this machine into dom0, with its libraries; load NAME ARGUMENT... runs it there. From dom0 the way to the
# guest is the shortest there is: bridge, backend, frontend.
ship() {
    in_dom0 test -e "$DOM0/bin/$1" && return
    path=$(command -v "$1") || broken "$1 is not installed here"
    rm -rf "$WORK/ship"
    mkdir -p "$WORK/ship/bin" "$WORK/ship/lib"
    cp "$path" "$WORK/ship/bin/" && ldd "$path" | sed -n 's/.*=> *\(\/[^ ]*\).*/\1/p; s/^[ \t]*\(\/[^ ]*ld-linux[^ ]*\).*/\1/p' |
        while read -r library; do cp -L "$library" "$WORK/ship/lib/"; done
    tar -c -C "$WORK/ship" . | "$XENOLITH" lab exec -- tar -x -C "$DOM0" || broken "$1 cannot be copied into dom0: is $DOM0 there, and room in its /run?"
}

load() {
    program=$1
    shift
    in_dom0 timeout "$LOAD_LIMIT" "$DOM0/lib/ld-linux-x86-64.so.2" --library-path "$DOM0/lib" "$DOM0/bin/$program" "$@"
}
