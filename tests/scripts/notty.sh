# What asks for a terminal where there is none.
tty; echo "tty: $?"
tty -s; echo "tty -s: $?"
stty; echo "stty: $?"
stty -F /dev/null size; echo "stty -F: $?"
stty -F /dev/none size; echo "stty -F: $?"
[ -t 0 ] || echo "standard input is none"
cat /dev/tty; echo "cat: $?"
ps -o tty,pid | awk -v me=$$ '$2 == me { print "ps:", $1 }'
awk '{ print "stat:", $7, $8 }' /proc/$$/stat
who; echo "who: $?"
jobs; echo "jobs: $?"
fg; echo "fg: $?"
seq 1 3 | less; echo "less: $?"
seq 1 3 | more; echo "more: $?"
top -b -n1 | awk 'NR == 4 { print $1, $2, $3, $NF } NR > 4 && $NF == "-b" { n++ } NR > 4 && / top -b -n1/ { found = 1 } END { print found + 0 }'
