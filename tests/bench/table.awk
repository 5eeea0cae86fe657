# SPDX-License-Identifier: BSD-2-Clause
#
# rows.tsv (statistics.awk) --> the table for people. -v circumstances=TEXT: its first line.
BEGIN {
    FS = "\t"
    if (circumstances != "") print circumstances
    print "Medians. Ratio: Xenolith's advantage, above 1 where Xenolith is better and below 1 where Linux is; ~: no difference (the samples"
    print "overlap, or it is less than 1%). Better: whether less or more of the unit is better. Spread: largest less least sample, in"
    print "percent of the median. n: samples. Linux and Xenolith in this order."
    print ""
    metric_width = unit_width = 6
}

# Four digits that count, no exponent.
function number(v) {
    if (v !~ /^[0-9]/) return "-"
    v += 0
    return v >= 1000 ? sprintf("%.0f", v) : v >= 100 ? sprintf("%.1f", v) : v >= 10 ? sprintf("%.2f", v) : sprintf("%.3f", v)
}
function ratio(v) { return v == "-" ? "-" : v >= 100 ? sprintf("%.0f", v) : sprintf("%.2f", v) }
function percent(v) { return v == "-" ? "-" : v "%" }

# A reason once for all rows of a bench that have it.
function told(who, reason,   again) {
    if (reason == "") return ""
    again = last[who] == bench SUBSEP reason
    last[who] = bench SUBSEP reason
    return "  " who ": " (again ? "as above" : reason)
}

{
    row[NR] = $0
    name[NR] = $1 ($2 == "*" ? "" : " " $2)
    if (length(name[NR]) > metric_width) metric_width = length(name[NR])
    if (length($3) > unit_width) unit_width = length($3)
    verdicts[$18]++
}

END {
    format = "%-" metric_width "s  %-" unit_width "s  %-6s %11s %11s %8s %-6s %12s %6s%s\n"
    printf format, "metric", "unit", "better", "Linux", "Xenolith", "ratio", "", "spread", "n", ""
    for (i = 1; i <= NR; i++) {
        $0 = row[i]
        if (bench != "" && bench != $1) print ""
        bench = $1
        printf format, name[i], $3, $3 == "-" ? "-" : $4, number($6), number($12), ratio($17), $18, percent($9) ", " percent($15), \
            $5 "+" $11, told("Linux", $10) told("Xenolith", $16)
    }
    print ""
    printf "%d metrics: Xenolith is better in %d, worse in %d, level in %d; %d could not be compared.\n", NR, \
        verdicts["better"], verdicts["worse"], verdicts["~"], verdicts["-"]
}
