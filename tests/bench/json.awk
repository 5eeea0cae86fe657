# SPDX-License-Identifier: BSD-2-Clause
#
# rows.tsv (statistics.awk) --> JSON. -v circumstances=TEXT -v type=pv -v vcpus=1 -v memory=256M
function text(v,   i, c, out) {
    for (i = 1; i <= length(v); i++) {
        c = substr(v, i, 1)
        if (c == "\"" || c == "\\") c = "\\" c
        else if (c < " ") c = " "
        out = out c
    }
    return "\"" out "\""
}
function value(v) { return v == "-" || v == "" ? "null" : v }
function system_of(first, samples) {
    return sprintf("{ \"median\": %s, \"least\": %s, \"largest\": %s, \"spread_percent\": %s, \"reason\": %s, \"samples\": [%s] }", \
        value($(first + 1)), value($(first + 2)), value($(first + 3)), value($(first + 4)), \
        $(first + 5) == "" ? "null" : text($(first + 5)), samples == "-" ? "" : samples)
}

BEGIN {
    FS = "\t"
    printf "{ \"circumstances\": %s,\n  \"type\": %s, \"vcpus\": %d, \"memory\": %s,\n", text(circumstances), text(type), vcpus, text(memory)
    printf "  \"ratio\": \"Xenolith's advantage: above 1 where Xenolith is better\",\n  \"metrics\": ["
}
{
    printf "%s\n    { \"bench\": %s, \"metric\": %s, \"unit\": %s, \"better\": %s, \"ratio\": %s, \"verdict\": %s,\n", (NR > 1 ? "," : ""), \
        text($1), text($2), text($3), text($4), value($17), text($18)
    printf "      \"linux\": %s,\n      \"xenolith\": %s }", system_of(5, $19), system_of(11, $20)
}
END { print "\n  ] }" }
