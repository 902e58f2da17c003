# The tour of the README: what one would type, and what one sees.
#   cargo xtask run --script tests/tour.sh
# It runs wherever there is a busybox; only what `uname`, `ps`, `top` and `/proc` report is the system's own.

# Shows a command as if it were typed at the prompt, and runs it.
run() {
    printf '\n# %s\n' "$1"
    eval "$1"
}

here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT

echo "== An ordinary Linux shell"
run 'echo "hello from $(uname -s) on $(uname -m)"'
run 'head -n 1 /etc/passwd'
run 'for i in 1 2 3; do echo "$i squared is $((i * i))"; done'

echo
echo "== Pipelines: each stage a process, each system call a message"
run 'seq 1 100000 | wc -l'
run 'seq 1 1000 | grep 7 | sed "s/7/seven /" | awk "{ n += NF } END { print n, \"words\" }"'
run 'yes "all work and no play" | head -n 2000 | sort | uniq -c'
run 'printf "%s\n" pear apple fig apple | sort | uniq -c | sort -rn'

echo
echo "== Files"
run 'mkdir -p project/src && echo "int main(void) { return 0; }" > project/src/main.c'
run 'ln -s src/main.c project/entry && cat project/entry'
run 'find project | sort'
run 'tar cf - project | gzip | gunzip | tar tf - | sort'
run 'dd if=/dev/zero bs=4096 count=256 2>/dev/null | sha256sum'
run 'grep -rn main project | sort'
run 'diff -u /dev/null project/src/main.c | tail -n 1'
run 'rm -r project && ls -A | wc -l'

echo
echo "== Processes"
run 'sleep 100 & pid=$!; sleep 0.2; ps -o pid,args | grep -c "[s]leep 100"'
run 'kill $pid; wait $pid 2>/dev/null; echo "it ended with status $?"'
run '(sleep 0.2; echo "background is done") & echo "foreground goes on"; wait'
run 'sh -c "trap \"echo caught a signal\" USR1; kill -USR1 \$\$; echo and went on"'
run 'timeout 1 sleep 60 2>/dev/null; echo "after a second: $?"'
run 'cat <<END | tr a-z A-Z
a here-document
END'

echo
echo "== The system"
run 'cut -d" " -f1 /proc/self/stat | grep -c "[0-9]"'
run 'awk "/^MemTotal|^MemFree/ { print \$1, (\$2 > 0 ? \"some\" : \"none\") }" /proc/meminfo'
run 'ls /dev/null /dev/zero /dev/tty'
run 'test -t 1 && echo "a terminal" || echo "no terminal: this is a script"'

echo
echo "== That was the tour"
