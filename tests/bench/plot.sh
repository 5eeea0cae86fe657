#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# plot.sh ROWS CIRCUMSTANCES PNG: the ratios of rows.tsv (statistics.awk) as a bar each on a logarithmic scale, from the line at 1 up
# where Xenolith is better and down where Linux is; grey where the samples overlap. What could not be compared is not drawn.
set -eu

command -v gnuplot > /dev/null || { echo "bench: no plot: gnuplot is not installed (apt-get install gnuplot-nox)" >&2; exit 1; }
bars=$(mktemp)
trap 'rm -f "$bars"' EXIT
# Colours: green, red and grey, as one number each.
awk -F '\t' '$17 != "-" && $17 > 0 { gsub(/_/, " ", $2); printf "\"%s: %s\"\t%s\t%d\n", $1, $2, $17, $18 == "better" ? 3046706 : $18 == "worse" ? 12986408 : 10395294 }' "$1" > "$bars"
count=$(wc -l < "$bars")
[ "$count" -gt 0 ] || { echo "bench: no plot: no metric was measured in both guests" >&2; exit 0; }
width=$((300 + 26 * count))
[ $width -gt 1000 ] || width=1000
gnuplot <<X
set terminal pngcairo size $width, 800 font "DejaVu Sans,10" noenhanced
set output "$3"
set title "Xenolith beside Linux: how many times better (above 1) or worse\n$2"
set logscale y 2
set grid ytics
set style fill solid
set boxwidth 0.7
set xtics rotate by 60 right
set yrange [*<0.5:2<*]
set xrange [-0.7:$count - 0.3]
set arrow from graph 0, first 1 to graph 1, first 1 nohead lw 2 front
unset key
plot "$bars" using 0:(1):(\$0 - 0.35):(\$0 + 0.35):(\$2 < 1 ? \$2 : 1):(\$2 < 1 ? 1 : \$2):3:xtic(1) with boxxyerror lc rgb variable
X
