# kill: signals, groups, and what they leave.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
sleep 300 & pid=$!
kill -0 $pid && echo alive
kill $pid; wait $pid 2>/dev/null; echo "TERM: $?"
sleep 300 & pid=$!; kill -9 $pid; wait $pid 2>/dev/null; echo "KILL: $?"
sleep 300 & pid=$!; kill -s HUP $pid; wait $pid 2>/dev/null; echo "HUP: $?"
sh -c 'kill -INT $$; echo not reached'; echo "INT: $?"
sh -c 'trap "echo caught; exit 5" USR1; kill -USR1 $$; echo not reached'; echo "USR1: $?"
sh -c 'trap "" TERM; kill $$; echo ignored'; echo "status $?"
sleep 300 & pid=$!
kill -STOP $pid
for i in $(seq 300); do
    case $(sed -n 's/^State:[[:space:]]*//p' /proc/$pid/status) in T*) echo stopped; break ;; esac
    sleep 0.1
done
kill -CONT $pid; kill $pid; wait $pid 2>/dev/null; echo "after CONT: $?"
kill -0 $pid 2>/dev/null; echo "gone: $?"
kill -l 9; kill -l TERM; kill -l | head -n 3
setsid sh -c 'sleep 300 & sleep 300 & echo $$; wait' >group & until [ -s group ]; do sleep 0.05; done
kill -- -"$(cat group)" 2>/dev/null; wait $! 2>/dev/null; echo "group: $?"; rm -f group
