# timeout: in time, too late, other signals.
timeout 5 echo quick; echo "status $?"
timeout 1 sleep 30; echo "status $?"
timeout 5 sh -c 'exit 7'; echo "status $?"
timeout -s KILL 1 sleep 30; echo "status $?"
timeout 1 sh -c 'trap "echo told; exit 3" TERM; sleep 30 & wait'; echo "status $?"
timeout 5 none 2>/dev/null; echo "status $?"
timeout 1 sh -c 'trap "" TERM; sleep 2; echo stubborn'
echo input | timeout 5 cat
timeout 5 true && echo "no delay"
