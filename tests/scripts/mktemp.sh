# mktemp: files and folders of one's own.
here=$(mktemp -d) && cd "$here" || exit 1
trap 'cd /; rm -rf "$here"' EXIT
file=$(mktemp) && [ -f "$file" ] && [ ! -s "$file" ] && stat -c %a "$file"
folder=$(mktemp -d) && [ -d "$folder" ] && stat -c %a "$folder"
[ "$file" != "$(mktemp -u)" ] && echo different
named=$(mktemp "$here/name.XXXXXX") && basename "$named" | cut -c1-5 && basename "$named" | wc -c
mktemp "$here/no" 2>/dev/null; echo "status $?"
mktemp -p "$folder" part.XXXXXX | sed 's|.*/||;s/\..*//'
mktemp /none/x.XXXXXX 2>/dev/null; echo "status $?"
n=0; while [ $n -lt 20 ]; do mktemp "$here/many.XXXXXX"; n=$((n + 1)); done | sort -u | wc -l
rm -rf "$file" "$folder"
