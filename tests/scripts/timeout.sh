# timeout: in time, too late, other signals.
timeout 60 echo quick; echo "status $?"
timeout 1 sleep 30; echo "status $?"
timeout 60 sh -c 'exit 7'; echo "status $?"
timeout -s KILL 1 sleep 30; echo "status $?"
# More time for who was not ready when it was over.
patiently() {
    for seconds in 1 5 25; do
        rm -f /tmp/ready
        timeout $seconds sh -c "$1" >/tmp/told; status=$?
        [ -e /tmp/ready ] && break
    done
    cat /tmp/told; rm -f /tmp/ready /tmp/told
    return $status
}
patiently 'trap "echo told; exit 3" TERM; : >/tmp/ready; sleep 30 & wait'; echo "status $?"
timeout 60 none 2>/dev/null; echo "status $?"
patiently 'trap "" TERM; : >/tmp/ready; sleep 2; echo stubborn'
echo input | timeout 60 cat
timeout 60 true && echo "no delay"
