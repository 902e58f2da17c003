# What a person and their programs do all day: forks, pipes, files, signals. Every line that is lost, doubled or changed shows, and
# nothing depends on time or on process numbers.
mkdir -p /tmp/load/sub && cd /tmp/load || exit 1
echo hello | cat > f && cat f
for i in 1 2 3 4 5 6 7 8; do echo "line $i" | cat >> g; done
sort g | uniq -c | awk '{ print $1, $2, $3 }' | sort -n -k3
for i in 1 2 3 4; do mkdir d$i && echo "$i" > d$i/x && mv d$i/x sub/x$i && rmdir d$i; done
ls sub | sort && cat sub/x* && ln -s sub/x1 link && cat link && ln sub/x2 hard && rm sub/x2 && cat hard
seq 1 2000 | grep 7 | wc -l
seq 1 500 | sed 's/5/five/' | tail -n 3
(echo in a subshell; exit 3); echo "status $?"
sleep 1000 & kill -TERM $!; wait $! 2>/dev/null; echo "killed $?"
sh -c 'trap "echo caught" USR1; kill -USR1 $$; echo on'
for i in 1 2 3; do (echo "background $i") & wait; done
dd if=/dev/zero of=big bs=4096 count=64 2>/dev/null && sha256sum < big && truncate -s 5 big && wc -c < big
tar cf - sub | tar tf - | sort
i=0; while [ $i -lt 20 ]; do i=$((i + 1)); echo $i; done | (read a; read b; echo "$a $b"; cat | wc -l)
cat <<END | tr a-z A-Z
here
END
chmod 600 f && ls -l f | cut -c 1-10 && test ! -e nothing && echo absent
rm -r /tmp/load && ls /tmp | wc -l
echo done
