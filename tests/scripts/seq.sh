# seq and long pipes.
seq 1 100000 | wc -l
seq 1 100000 | tail -n 1
seq 3
seq 2 5 | tr '\n' ' '; echo
seq 10 -5 0
seq -w 8 11
seq -s, 5
seq 1 100000 | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
seq 1 100000 | sha256sum
seq 100000 | sed -n '$p;50000p'
seq 20000 | sort -rn | head -n 3
yes | head -n 100000 | uniq -c | awk '{ print $1, $2 }'
seq 1 100000 | head -n 1
