# ulimit: shown, lowered, in force.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
(ulimit -n 20; ulimit -n)
(ulimit -n 20; exec 19>/dev/null && echo "19 is allowed"; (exec 25>/dev/null) 2>/dev/null || echo "25 is not")
(ulimit -c 0; ulimit -c)
(ulimit -S -n 30; ulimit -S -n)
(ulimit -f 1; head -c 100000 /dev/zero >big 2>/dev/null; echo "status $?"; [ "$(wc -c <big)" -le 1024 ] && echo cut)
(ulimit -n 10 && ulimit -n 5 && ulimit -n)
(ulimit -v 200000; ulimit -v)
ulimit -a | awk '{ print $1 }' | head -n 3
(ulimit -n nonsense) 2>/dev/null; echo "status $?"
