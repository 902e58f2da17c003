# Every field of /proc's files, as they are; what is a moment, a load, a number of a process or an amount of memory, normalise.toml says. What depends on the
# kernel's name or on its number of interrupts is asked about instead. What there is once for each processor is looked at once.
taskset -p 1 $$ >/dev/null
first() { sed '/^$/q' /proc/cpuinfo; }
echo "== version"; grep -cE '^[^ ]+ version [^ ]+ \([^ ]+@[^ ]+\) \(.+\) #[0-9]+ .+$' /proc/version
echo "== uptime"; cat /proc/uptime
awk -v processors=$(grep -c ^processor /proc/cpuinfo) '{ print ($1 > 0), ($2 <= processors * ($1 + 1)) }' /proc/uptime
echo "== loadavg"; cat /proc/loadavg
echo "== stat"; grep -vE '^(intr|cpu[1-9])' /proc/stat; grep -cE '^intr( [0-9]+)+$' /proc/stat
awk '/^cpu[1-9]/ { next } /^cpu/ { print $1, NF - 1 } /^softirq/ { print $1, NF - 1 } /^(ctxt|btime|processes|procs_running)/ { print $1, "counts", ($2 > 0) }' /proc/stat
# How the kernel maps all memory for itself is not for programs.
echo "== meminfo"; grep -v DirectMap /proc/meminfo
awk '{ v[$1] = $2 } END { print (v["MemFree:"] < v["MemTotal:"]), (v["MemAvailable:"] <= v["MemTotal:"]), (v["MemFree:"] > 0), (v["AnonPages:"] > 0), (v["Mapped:"] > 0), (v["KernelStack:"] > 0), (v["PageTables:"] > 0), (v["Shmem:"] > 0) }' /proc/meminfo
echo "== cpuinfo"; first | sed -E 's/(:).*/\1/'
first | awk -F': ' '/^(cpu family|processor|cpu cores|siblings|fpu|wp|fpu_exception|physical id|core id|clflush size)/ { print } /^flags/ { print "flags", / fpu /, / tsc /, / cx8 /, / sse2 /, / syscall /, / nx /, / lm / }'
first | grep -E '^(cpu MHz|bogomips|cache size|address sizes|clflush)'
echo "== filesystems"; awk -F'\t' '{ print NF, ($1 == "nodev" || $1 == "") }' /proc/filesystems | sort -u
grep -E '	(proc|tmpfs|devpts)$' /proc/filesystems | sort
echo "== mounts"; awk '{ print NF, $5, $6, ($4 ~ /^r[ow]/) }' /proc/mounts | sort -u
awk '$2 == "/proc" || $2 == "/" { print $2, $3 }' /proc/mounts
cmp /proc/mounts /proc/self/mounts && echo same
echo "== self/stat"; cat /proc/self/stat | awk '{ print NF }'
sh -c 'read pid name state parent group session tty foreground flags minor cminor major cmajor utime stime cutime cstime priority nice threads zero start size resident limit from to stack sp ip pending blocked ignored caught wchan nswap cnswap exit cpu rt policy delay guest cguest data edata brk arg earg env eenv code </proc/self/stat
[ $pid = $$ ] && [ $parent = $PPID ] && echo own
echo "$name $state $priority $nice $threads $zero $limit $pending $blocked $exit $rt $policy $nswap $cnswap $code"
[ $size -gt 0 ] && [ $resident -gt 0 ] && [ $from -gt 0 ] && [ $to -gt $from ] && [ $stack -gt $to ] && echo placed
[ $minor -gt 0 ] && echo faults
[ $data -gt $to ] && [ $edata -gt $data ] && [ $brk -ge $edata ] && [ $arg -gt $stack ] && [ $earg -gt $arg ] && [ $env -ge $earg ] && [ $eenv -ge $env ] && echo ordered
[ $ip = 0 ] && [ $sp = 0 ] && echo hidden
[ $start -gt 0 ] && [ $guest = 0 ] && [ $cguest = 0 ] && echo started'
# What the kernel does about speculation and about pages of 2 MiB is its own business.
echo "== self/status"; grep -vE '^(Speculation|THP)' /proc/self/status
sh -c 'grep -E "^(Name|Umask|State|Uid|Gid|Groups|FDSize|Threads|Tgid|Ngid|TracerPid|Sig|Shd|Cap|NoNew|Seccomp|CoreDump|Vm(Lck|Pin|Swap)|Huge|Rss(Shmem))" /proc/$$/status'
awk -F'\t' '/kB$/ { print length($2) }' /proc/self/status | sort -u
awk '/^Vm(Size|RSS|Data|Stk|Exe|PTE|Peak|HWM)/ { print $1, $3, ($2 > 0) }' /proc/self/status
echo "== self/statm"; cat /proc/self/statm
awk '{ print ($1 > 0), ($2 > 0), ($3 > 0), ($4 > 0), $5, ($6 > 0), $7 }' /proc/self/statm
echo "== self/cmdline"; tr '\0' ' ' </proc/self/cmdline; echo
sh -c 'exec -a "own name" cat /proc/self/cmdline 2>/dev/null || true' | tr '\0' ' '; echo
echo "== self/maps"
awk '{ print (NF == 5 || NF == 6), $2, ($1 ~ /^[0-9a-f]+-[0-9a-f]+$/), ($3 ~ /^[0-9a-f]+$/ && length($3) == 8), ($4 ~ /^[0-9a-f][0-9a-f]:[0-9a-f][0-9a-f]$/), ($5 > 0), $6 }' /proc/self/maps | grep -v vsyscall | uniq
awk '$6 ~ /busybox/ { print index($0, $6) }' /proc/self/maps | uniq
echo "== self/fd"; ls -l /proc/self/fd 0</dev/null 2>&1 | awk '$9 < 3 && NF >= 9 { print $1, $9, $10, ($11 ~ /^(\/dev\/null|pipe:\[[0-9]+\])$/) }'
stat -c '%A %h' /proc/self/fd; stat -c '%A %s' /proc/self/fd/0 0</dev/null; stat -c '%A' /proc/self/fd/1
readlink /proc/self/fd/0 0</dev/null
readlink /proc/self/fd/7 7</tmp
echo "== self/exe"; readlink /proc/self/exe; stat -c %A /proc/self/exe; stat -L -c %F /proc/self/exe
readlink /proc/self/root; (cd /tmp && readlink /proc/self/cwd)
echo "== modes"; for f in meminfo stat cpuinfo version filesystems uptime loadavg cmdline swaps; do stat -c '%A %h %u %g %s %n' /proc/$f; done
stat -c '%A %n' /proc /proc/self /proc/mounts
cd /proc/self && for f in stat status cmdline maps comm environ statm limits mounts exe cwd root fd task; do stat -c '%A %s %n' $f; done
echo "== task"; cd /; sh -c 'ls /proc/$$/task | grep -c . ; cat /proc/$$/task/$$/comm; [ "$(cut -d" " -f1 /proc/$$/task/$$/stat)" = $$ ] && echo own; echo renamed >/proc/self/comm; cat /proc/$$/comm; sh -c "cat /proc/$$/task/$$/comm"'
sh -c 'echo "a name that is far too long" >/proc/$$/comm; cat /proc/$$/comm; (echo other >/proc/$PPID/comm) 2>/dev/null || echo refused'
ls /proc/self/task/1 2>&1
