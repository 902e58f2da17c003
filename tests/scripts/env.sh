# env, export, unset, set, and what a child gets.
env -i /bin/busybox env; echo "nothing"
env -i A=1 B='two words' /bin/busybox env | sort
export NAME=value; sh -c 'echo $NAME'
plain=secret; sh -c 'echo "[$plain]"'
ONCE=here sh -c 'echo $ONCE'; echo "[$ONCE]"
unset NAME; sh -c 'echo "[$NAME]"'
env -u HOME sh -c 'echo "${HOME-unset}"'
NAME=x; readonly NAME; (NAME=y) 2>/dev/null; echo "status $?"
set -- a 'b c' d; echo $# "$2"; shift; echo "$*"; echo "$@" | wc -w
echo "${UNSET:-default} ${NAME:+set} ${UNSET-}"
word=filename.tar.gz; echo "${word%.*} ${word%%.*} ${word#*.} ${word##*.} ${#word}"
set -u; (echo "$UNSET") 2>/dev/null; echo "status $?"; set +u
env | grep -c "^NAME=" || echo "not exported"
id -u; whoami; hostname | grep -c .; pwd >/dev/null && echo "${PWD:+somewhere}"
