# Background commands and wait.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
(until [ -e quick ]; do sleep 0.05; done; echo slow) &
(until [ -e first ]; do sleep 0.05; done; echo quick; : >quick) &
echo first; : >first
wait
echo all done
(exit 3) & wait $!; echo "status $?"
true & a=$!; false & b=$!
wait $a; echo "a $?"; wait $b; echo "b $?"
for i in 1 2 3 4 5 6 7 8; do echo $i >file$i & done; wait; cat file? | sort | tr '\n' ' '; echo
wait 99999999 2>/dev/null; echo "unknown: $?"
sleep 300 & kill $!; wait $! 2>/dev/null; echo "killed: $?"
(sleep 0.1; echo data >ready) & while [ ! -f ready ]; do sleep 0.05; done; wait; cat ready
cat </dev/null & wait $!; echo "input is empty: $?"
mkfifo queue; (echo through a fifo >queue) & cat queue; wait
{ sleep 0.1; echo part; } | cat & wait; echo "pipeline in the background"
