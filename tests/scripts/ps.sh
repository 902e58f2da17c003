# ps sees what runs; top, pidof and uptime run.
sleep 300 & first=$!
sleep 300 & second=$!
for pid in $first $second; do
    until grep -q sleep /proc/$pid/cmdline && grep -q '^State:.S' /proc/$pid/status; do sleep 0.05; done
done
ps -o pid,ppid,args | awk -v parent=$$ '$2 == parent && $3 == "sleep" { n++ } END { print n, "children" }'
ps -o pid,comm | awk -v pid=$first '$1 == pid { print $2 }'
ps -o stat,pid | awk -v pid=$second '$2 == pid { print substr($1, 1, 1) }'
[ -d /proc/$first ] && tr '\0' ' ' </proc/$first/cmdline; echo
readlink /proc/$first/cwd | grep -c .
awk '/^(Name|PPid):/ { print $1 }' /proc/$first/status
kill $first $second
wait $first 2>/dev/null; echo "status $?"
wait $second 2>/dev/null; echo "status $?"
[ -d /proc/$first ] || echo gone
ps -o pid | awk -v me=$$ '$1 == me { print "this shell" }'
top -b -n1 | head -n 4
uptime
