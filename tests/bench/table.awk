# SPDX-License-Identifier: BSD-2-Clause
#
# rows.tsv (statistics.awk) --> the table for people. -v circumstances=TEXT: its first line.
BEGIN {
    FS = "\t"
    if (circumstances != "") print circumstances
    print "Medians. Ratio: Xenolith's advantage, above 1 where Xenolith is better and below 1 where Linux is; ~: the samples overlap."
    print "Better: whether less or more of the unit is better. Spread: largest less least sample, in percent of the median. n: samples."
    print ""
    format = "%-28s %-12s %-6s %11s %11s %8s %-6s %13s %6s%s\n"
    printf format, "metric", "unit", "better", "Linux", "Xenolith", "ratio", "", "spread L, X", "n L+X", ""
}

# Four digits that count, no exponent.
function number(v) {
    if (v !~ /^[0-9]/) return "-"
    v += 0
    return v >= 1000 ? sprintf("%.0f", v) : v >= 100 ? sprintf("%.1f", v) : v >= 10 ? sprintf("%.2f", v) : sprintf("%.3f", v)
}
function percent(v) { return v == "-" ? "-" : v "%" }
function told(who, reason) { return reason == "" ? "" : "  " who ": " reason }

{
    if (bench != "" && bench != $1) print ""
    bench = $1
    reasons = told("Linux", $10) (told("Xenolith", $16) == "" ? "" : ($10 == "" ? "" : ";") told("Xenolith", $16))
    printf format, $1 ($2 == "*" ? "" : " " $2), $3, $3 == "-" ? "-" : $4, number($6), number($12), \
        $17 == "-" ? "-" : ($17 >= 100 ? sprintf("%.0f", $17) : sprintf("%.2f", $17)), $18, percent($9) ", " percent($15), $5 "+" $11, reasons
    if ($18 in verdicts) verdicts[$18]++; else verdicts[$18] = 1
}

END {
    print ""
    printf "%d metrics: Xenolith is better in %d, worse in %d, level within the spread in %d; %d could not be compared.\n", NR, \
        verdicts["better"], verdicts["worse"], verdicts["~"], verdicts["-"]
}
