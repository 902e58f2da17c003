# What /proc tells of signals: ignored ones stay so in children, caught ones do not; and of what user 0 may do.
fields='^(Sig(Pnd|Blk|Ign|Cgt)|ShdPnd|Cap|NoNewPrivs|Seccomp:)'
sh -c 'trap "" QUIT USR1; trap : USR2 TERM; read -r line < /dev/null; grep -E "$1" /proc/self/status; echo caught; grep SigCgt /proc/$$/status' sh "$fields"
(trap '' INT; exec grep -E '^Sig[PBIC]' /proc/self/status)
