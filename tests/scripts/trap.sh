# trap: signals, EXIT, ignoring, resetting.
sh -c 'trap "echo exit handler" EXIT; echo body'
sh -c 'trap "echo exit handler; exit 9" EXIT; exit 3'; echo "status $?"
sh -c 'trap "echo got INT" INT; kill -INT $$; echo after'
sh -c 'trap "echo got TERM; exit 1" TERM; kill $$; echo never'; echo "status $?"
sh -c 'trap "" HUP; kill -HUP $$; echo survived'
sh -c 'trap "echo no" USR1; trap - USR1; kill -USR1 $$; echo never'; echo "status $?"
sh -c 'trap "echo one" USR1; trap "echo two" USR2; kill -USR2 $$; kill -USR1 $$; trap' | sed 's/SIG//'
sh -c 'trap "echo interrupted" USR1; (sleep 0.2; until grep -q "^State:.S" /proc/$$/status; do sleep 0.05; done; kill -USR1 $$) & sleep 300 & wait $!; echo "wait gave $?"; kill %2 2>/dev/null; wait' 2>/dev/null
sh -c 'n=0; trap "n=\$((n + 1))" USR1; for i in 1 2 3; do kill -USR1 $$; done; echo $n'
sh -c 'trap "echo parent" USR1; (kill -USR1 $$); echo done'
sh -c 'trap "" INT; sh -c "kill -INT \$\$; echo inherited"'
sh -c 'trap "echo cleanup" EXIT; f() { exit 4; }; f'; echo "status $?"
