# sleep, usleep, time.
start=$(date +%s)
sleep 1
end=$(date +%s)
[ $((end - start)) -ge 1 ] && [ $((end - start)) -le 59 ] && echo "a second or so"
sleep 0.1 && echo short
usleep 1000 && echo shorter
sleep 0; echo "status $?"
sleep 0.1 0.1 && echo sum
sleep never 2>/dev/null; echo "status $?"
(time sleep 0.1) 2>&1 | awk '/real/ { print $1 }'
for n in 7 1 4; do (sleep $n; echo $n) & done; wait
