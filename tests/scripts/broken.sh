# Programs that are cut short, or that are none: the shell says so, takes what is no ELF for a script, and goes on.
cd /tmp
head -c 100 /bin/busybox >short
printf '\177ELF and no more' >magic
printf '#!/no/such/interpreter\n' >orphan
printf '#!/tmp/orphan\n' >nested
printf 'echo a script without a first line, $1\n' >plain
: >empty
mkdir folder
chmod +x short magic orphan nested plain empty
for program in short magic orphan nested plain empty folder missing; do
    echo "-- $program"
    (exec ./$program 1) 2>&1 | tr -d '\000-\011\013-\037\177-\377'
    env ./$program 1 2>&1 | tr -d '\000-\011\013-\037\177-\377'
    env ./$program 1 >/dev/null 2>&1
    echo "status $?"
done
chmod -x plain
./plain 2>&1; echo "status $?"
echo alive
