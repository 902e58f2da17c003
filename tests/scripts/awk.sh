# awk: fields, patterns, arrays, functions, output.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
cat >data <<END
alice 30 london
bob 25 paris
carol 41 london
dave 19 rome
END
awk '{ print $1 }' data
echo "-- pattern"; awk '$2 > 28 { print NR, $1 }' data
echo "-- sum"; awk '{ sum += $2 } END { printf "%d %.2f\n", sum, sum / NR }' data
echo "-- groups"; awk '{ count[$3]++ } END { for (city in count) print city, count[city] }' data | sort
echo "-- separator"; awk -F: '$3 == 0 { print $1 }' /etc/passwd | head -n 1
echo "-- variables"; awk -v limit=20 'BEGIN { OFS = "-" } $2 < limit { $1 = $1; print }' data
echo "-- functions"; awk 'function fact(n) { return n < 2 ? 1 : n * fact(n - 1) } BEGIN { print fact(10) }'
echo "-- strings"; awk 'BEGIN { s = "hello world"; print length(s), toupper(substr(s, 1, 5)), index(s, "wor"); gsub(/o/, "0", s); print s }'
echo "-- split"; awk 'BEGIN { n = split("a,b,c", parts, ","); print n, parts[2] }'
echo "-- match"; awk 'match($0, /[0-9]+/) { print substr($0, RSTART, RLENGTH) }' data
echo "-- range"; awk '/bob/,/carol/' data
echo "-- loops"; awk 'BEGIN { while (i < 3) printf "%d ", i++; for (j = 9; j > 6; j--) printf "%d ", j; print "" }'
echo "-- pipes"; awk '{ print $2 | "sort -n" } END { close("sort -n"); print "sorted" }' data
echo "-- getline"; awk 'BEGIN { while (("echo a; echo b" | getline line) > 0) print "got " line }'
echo "-- files"; awk 'FNR == NR { age[$1] = $2; next } { print $1, age[$1] }' data data | tail -n 1
echo "-- status"; awk 'BEGIN { exit 3 }'; echo $?
awk 'BEGIN { printf "%5s|%-5s|%05d|%x|%c|%e\n", "ab", "cd", 42, 255, "z", 12345.678 }'
