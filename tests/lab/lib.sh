# SPDX-License-Identifier: BSD-2-Clause
#
# For lab tests written in sh (`. "$SOURCE/tests/lab/lib.sh"`): counting cases, expecting things of a guest's output.

test_count=0

# check WHAT COMMAND...: one case, passed if the command succeeds. Its output goes to the log.
check() {
    test_what=$1
    shift
    test_count=$((test_count + 1))
    if "$@" >&2; then echo "ok $test_count - $test_what"; else echo "not ok $test_count - $test_what"; fi
}

# skip WHAT WHY
skip() {
    test_count=$((test_count + 1))
    echo "ok $test_count - $1 # skip $2"
}

# done_testing: the plan, at the end.
done_testing() {
    echo "1..$test_count"
}

# exits STATUS COMMAND...: the command ends with just that status.
exits() {
    test_wanted=$1
    shift
    test_status=0
    "$@" || test_status=$?
    [ $test_status -eq "$test_wanted" ] || { echo "exit status $test_status, expected $test_wanted: $*"; return 1; }
}

# says PATTERN FILE: a line of the file matches (extended expression).
says() {
    grep -qE -- "$1" "$2" || { echo "$2 has no line like: $1"; tail -20 "$2"; return 1; }
}

# eventually SECONDS COMMAND...: tries it each half second until it succeeds; the seconds are a patience, not an expectation.
eventually() {
    test_tries=$(($1 * 2))
    shift
    while ! "$@"; do
        test_tries=$((test_tries - 1))
        [ $test_tries -gt 0 ] || return 1
        sleep 0.5
    done
}
