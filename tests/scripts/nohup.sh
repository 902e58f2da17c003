# Commands that are cut loose: hang-ups ignored, sessions of their own. Where there is a nohup, it is the same.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
sh -c 'kill -HUP $$; echo not reached' 2>/dev/null; echo "status $?"
(trap '' HUP; exec sh -c 'kill -HUP $$; echo survived')
(trap '' HUP; sh -c 'sh -c "kill -HUP \$\$; echo inherited"')
setsid sh -c '[ "$(cut -d" " -f6 /proc/$$/stat)" = $$ ] && echo "a session of its own"'
(trap '' HUP; : >ready; sleep 0.3; echo late >file) >/dev/null 2>&1 &
while [ ! -f ready ]; do sleep 0.05; done; kill -HUP $!; wait $!; cat file
(setsid sh -c 'sleep 0.1; echo orphan >other' &); while [ ! -s other ]; do sleep 0.05; done; cat other
if command -v nohup >/dev/null; then nohup sh -c 'kill -HUP $$' 2>/dev/null; else true; fi; echo "status $?"
