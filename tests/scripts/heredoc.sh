# Here-documents: expanded, quoted, stripped of tabs, nested, long.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
name=world
cat <<END
hello $name
$(echo sub) $((1 + 2)) \$escaped `echo old`
END
cat <<'END'
plain $name $(echo sub)
END
cat <<-END
	tabs go
		all of them
	END
cat <<A; cat <<B
first
A
second
B
while read -r word number; do echo "$number:$word"; done <<END
one 1
two 2
END
sh <<'END'
echo "from a script"; exit 4
END
echo "status $?"
show() { cat <<END
in a function: $1
END
}
show argument
text=$(cat <<END
captured
END
)
echo "[$text]"
cat <<END | tr a-z A-Z
piped
END
seq 20000 >long; { echo 'wc -l <<END'; cat long; echo END; } >script; sh script
wc -c <<END
END
