# Runs the cases in /run/cases one after the other and tells what each left behind, in lines: ":case NAME" as it starts, then
# ":stdout" and ":stderr", each followed by base64, and ":status N"; ":end" after the last. Base64 has no colon, and carries bytes
# unchanged over a serial line. Files, not pipes, take the output: a process that outlives its case must not hold up the next.
for case in /run/cases/*.sh; do
    name=${case##*/}
    echo ":case ${name%.sh}"
    cd /
    timeout -s KILL 120 sh "$case" </dev/null >/run/stdout 2>/run/stderr
    status=$?
    echo ":stdout"
    base64 /run/stdout
    echo ":stderr"
    base64 /run/stderr
    echo ":status $status"
    rm -rf /tmp/* /run/stdout /run/stderr
done
echo ":end"
