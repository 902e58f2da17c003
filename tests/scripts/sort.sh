# sort, uniq, cut, paste, tr, comm, head, tail, tac, rev, wc.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
printf '%s\n' pear apple fig apple pear apple >fruit
sort fruit | uniq -c
echo "-- most"; sort fruit | uniq -c | sort -rn | awk '{ print $2, $1 }'
echo "-- unique"; sort -u fruit; uniq -d fruit | wc -l
printf '10 b\n9 a\n100 c\n' >numbers
echo "-- numbers"; sort -n numbers; echo "-- text"; sort numbers; echo "-- key"; sort -k2r numbers
echo "-- stable"; printf 'b 1\na 1\nc 0\n' | sort -s -k2,2n
echo "-- separator"; printf 'x:3\ny:1\nz:2\n' | sort -t: -k2n
echo "-- check"; sort -c fruit 2>/dev/null; echo $?
echo "-- cut"; cut -d' ' -f2 numbers; echo abcdef | cut -c2-4
echo "-- paste"; paste -d, numbers fruit | head -n 2; printf '1\n2\n3\n' | paste -s -d+
echo "-- tr"; echo 'Hello World' | tr a-z A-Z; echo aabbcc | tr -s b; echo a1b2 | tr -d 0-9; echo abc | tr -c 'b\n' _
echo "-- ends"; seq 10 | head -n 2; seq 10 | tail -n 2; seq 10 | tail -n +9; seq 5 | head -n -3
echo "-- tac, rev"; seq 3 | tac; echo abc | rev
echo "-- wc"; wc fruit; wc -lc <fruit; printf 'no newline' | wc -l
echo "-- nl"; nl fruit | head -n 2
echo "-- fold, expand"; echo abcdefgh | fold -w3; printf 'a\tb\n' | expand -t4
