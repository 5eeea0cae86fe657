# SPDX-License-Identifier: BSD-2-Clause
#
# samples.tsv --> rows.tsv: a row for each metric, in the order in which they were first seen.
#
# In:  bench, metric, unit, system, value, or "! reason" for the value (metric * is all of the bench's).
# Out: 1 bench  2 metric  3 unit  4 better (less or more)
#      5-10 Linux: number of samples, median, least, largest, spread in percent of the median, reason (what did not run, and why)
#      11-16 Xenolith: the same      17 ratio      18 verdict      19 Linux's samples      20 Xenolith's, with commas
# The ratio is Xenolith's advantage: by which factor it is faster or smaller. It is above 1 where Xenolith is better, whatever the
# unit. The verdict is better, worse, or "~" where the ranges of the samples overlap or the medians are within 1%; "-" where a
# side is missing.
BEGIN { FS = OFS = "\t" }

{
    unit = $3
    if ($5 ~ /^! /) {
        failures[$1, $2, $4]++
        if (!(($1, $2, $4) in reasons)) reasons[$1, $2, $4] = substr($5, 3)
    } else {
        n = ++count[$1, $2, $4]
        sample[$1, $2, $4, n] = $5 + 0
        units[$1, $2] = unit
    }
    if (!(($1, $2) in seen)) {
        seen[$1, $2] = 1
        order[++metrics] = $1 SUBSEP $2
        if ($2 != "*") named[$1] = 1
    }
}

# Sorts the samples of a key into s[1..n]; returns n.
function sort_into(s, key,   n, i, j, v) {
    n = count[key] + 0
    for (i = 1; i <= n; i++) {
        v = sample[key, i]
        for (j = i - 1; j >= 1 && s[j] > v; j--) s[j + 1] = s[j]
        s[j + 1] = v
    }
    return n
}

# The reason of a metric, or its bench's; how often, where there were samples as well.
function why(bench, metric, side, n,   key) {
    key = bench SUBSEP metric SUBSEP side
    if (!(key in reasons)) key = bench SUBSEP "*" SUBSEP side
    if (!(key in reasons)) return n > 0 ? "" : "it was not run"
    return n > 0 ? failures[key] " more failed: " reasons[key] : reasons[key]
}

# Fills numbers, medians ... of a side; returns the columns of one side.
function columns(bench, metric, side,   s, n, i, key, list, median) {
    key = bench SUBSEP metric SUBSEP side
    n = sort_into(s, key)
    numbers[side] = n
    for (i = 1; i <= n; i++) list = list (i > 1 ? "," : "") sprintf("%.9g", sample[key, i])
    lists[side] = n > 0 ? list : "-"
    if (n == 0) return "0" OFS "-" OFS "-" OFS "-" OFS "-" OFS why(bench, metric, side, 0)
    median = n % 2 ? s[(n + 1) / 2] : (s[n / 2] + s[n / 2 + 1]) / 2
    medians[side] = median
    least[side] = s[1]
    largest[side] = s[n]
    return n OFS sprintf("%.9g", median) OFS sprintf("%.9g", s[1]) OFS sprintf("%.9g", s[n]) OFS \
        (median > 0 ? sprintf("%.0f", (s[n] - s[1]) * 100 / median) : "-") OFS why(bench, metric, side, n)
}

function verdict(more,   larger) {
    if (least["linux"] <= largest["xenolith"] && least["xenolith"] <= largest["linux"]) return "~"
    if (medians["xenolith"] * 0.99 <= medians["linux"] && medians["linux"] * 0.99 <= medians["xenolith"]) return "~"
    larger = medians["xenolith"] > medians["linux"]
    return larger == more ? "better" : "worse"
}

END {
    for (m = 1; m <= metrics; m++) {
        split(order[m], part, SUBSEP)
        bench = part[1]; metric = part[2]
        if (metric == "*" && bench in named) continue
        unit = (bench, metric) in units ? units[bench, metric] : "-"
        more = index(unit, "/") > 0 ? 1 : 0
        linux = columns(bench, metric, "linux")
        xenolith = columns(bench, metric, "xenolith")
        ratio = "-"; word = "-"
        if (numbers["linux"] > 0 && numbers["xenolith"] > 0) {
            over = more ? medians["xenolith"] : medians["linux"]
            under = more ? medians["linux"] : medians["xenolith"]
            if (under > 0) ratio = sprintf("%.4g", over / under)
            word = verdict(more)
        }
        print bench, metric, unit, more ? "more" : "less", linux, xenolith, ratio, word, lists["linux"], lists["xenolith"]
    }
}
