# expr, let, test of numbers, factor, dc.
expr 2 + 3
expr 7 \* 6
expr 17 / 5; expr 17 % 5
expr 5 \> 3; expr 5 \< 3; echo "status $?"
expr length hello; expr substr hello 2 3; expr index hello l
expr hello : 'h.*l'; expr hello : '\(h.\)'
expr abc = abc; expr 0; echo "status $?"
expr \( 1 + 2 \) \* 3
expr 1 / 0 2>&1; echo "status $?"
expr a + 1 2>/dev/null; echo "status $?"
let 'x = 3 * 4'; echo $x
factor 600851475143
echo '2 3 + 4 * p' | dc
[ 10 -gt 9 ] && [ 10 != 9 ] && echo numbers
echo $((9223372036854775807)) $((9223372036854775807 + 1))
i=0; while [ $i -lt 1000 ]; do i=$((i + 1)); done; echo $i
