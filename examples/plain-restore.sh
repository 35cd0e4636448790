#!/bin/sh
# Restores a whole run without s3-sysbackup: with aws, jq, gunzip and what every system has.
#
#   BUCKET=my-backups NAME=web1-backup ./plain-restore.sh TARGET [RUN]
#
# TARGET must not exist. Files come below TARGET/files, snapshots into TARGET/snapshots. RUN is a run id; without it
# the newest run that is not broken. PREFIX, if the keys have one, ends in a slash. AWS_ENDPOINT_URL_S3, AWS_PROFILE
# and so on are aws's own. docs/plain-restore.md explains each step.
set -u
export LC_ALL=C
umask 077

# shellcheck disable=SC2016 # what is in single quotes is jq's
die() { echo "plain-restore: $*" >&2; exit 1; }
: "${BUCKET:?names the bucket}" "${NAME:?names the backup}"
PREFIX=${PREFIX-}
[ $# -ge 1 ] || die "which folder shall everything go to?"
target=$1
run=${2-}
for program in aws jq gunzip sha256sum base64; do
  command -v "$program" > /dev/null || die "needs $program"
done
mkdir -- "$target" "$target/files" "$target/snapshots" || die "cannot make $target"
# Absolute, so that no path begins with a dash, and without symlinks, so that those from the backup show.
target=$(cd -P -- "$target" && pwd -P && echo x) && target=${target%?x}
work=$(mktemp -d "$target/work.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$work/links"
: > "$work/failures"
failed() {
  # Names may hold what moves a terminal's cursor.
  printf 'plain-restore: %s: %s\n' "$(printf %s "$1" | tr -c ' -~' '?')" "$2" >&2
  echo >> "$work/failures"
}

# A path, a link's target or an owner may hold any byte but NUL, newlines too. All that is passed from jq to the shell
# is base64 for that reason; "x" keeps newlines at the end from being lost.
decoded() { printf %s "$1" | base64 -d; }
plain() { plain=$(decoded "$1" && echo x) && plain=${plain%x}; }

# By standard input: a file's name might need escaping.
hashes_to() { [ "$(sha256sum < "$2" | cut -c 1-64)" = "$1" ]; }

get() { # key, version, file
  aws s3api get-object --bucket "$BUCKET" --key "$PREFIX$1" --version-id="$2" "$3" < /dev/null > /dev/null
}

# 1. The run: of each manifest the oldest version, and of those the one received last.
aws s3api list-object-versions --bucket "$BUCKET" --prefix "${PREFIX}manifests/$NAME/" --output json \
  > "$work/versions.json" || die "cannot list the manifests"
jq --arg run "$run" '[.Versions // [] | .[]
    | select(.Key | test(if $run == "" then "[.](complete|partial)[.]jsonl[.]gz$"
        else "/" + $run + "[.](complete|partial|broken)[.]jsonl[.]gz$" end))]
  | group_by(.Key) | map(last) | sort_by(.LastModified) | last // empty' "$work/versions.json" > "$work/run.json"
[ -s "$work/run.json" ] || die "there is no such run of $NAME in $BUCKET"
key=$(jq -r .Key "$work/run.json")
echo "restoring $key" >&2
get "${key#"$PREFIX"}" "$(jq -r .VersionId "$work/run.json")" "$work/manifest.gz" || die "cannot get the manifest"
gunzip -c < "$work/manifest.gz" > "$work/manifest" || die "the manifest is no whole gzip"
sum=$(tail -n 1 "$work/manifest" | jq -r 'select(.typ == "end").sha256')
sed '$d' "$work/manifest" > "$work/lines"
hashes_to "$sum" "$work/lines" || die "the manifest is damaged"

# 2. One line of fields for each entry, without any character that means something to the shell:
#    bundle | type | path | mode | owner | ids | time | inode | link target | ACL | attributes | SHA-256 | blocks
#    of which a block is key:version:encoding:times:offset:length. "-" is for what is not there.
jq -r '
  def text64($text; $base64): if $base64 then $base64 else ($text | @base64) end;
  def or_dash: if . == null or . == "" then "-" else . end;
  select(.typ == "d" or .typ == "f" or .typ == "l" or .typ == "s")
  | (.dat | if type == "array" then . elif . == null then [] else [.] end) as $blocks
  | [ ([$blocks[] | select(.off) | .key] | first),
      .typ,
      (if .typ == "s" then .name | @base64 else text64(.path; .path64) end),
      .mode,
      (if .o then "\(.o):\(.g)" | @base64 else null end),
      (if .uid then "\(.uid):\(.gid)" else null end),
      .mt,
      (if .id then .id | @base64 else null end),
      (if .typ == "l" then text64(.tgt; .tgt64) else null end),
      (if .acl then .acl | @base64 else null end),
      (if .xattr then [.xattr | to_entries[] | select(.key | startswith("\u0000") | not) | "\(.key | @base64):\(.value)"] | join(" ") else null end),
      .sha,
      ([$blocks[] | "\(.key | @base64):\(.ver | @base64):\(.enc // "-"):\(.n // 1):\(.off // "-"):\(.len // "-")"] | join(" ")) ]
  | map(or_dash | tostring) | join("|")' "$work/manifest" > "$work/entries" || die "jq cannot read the manifest"
# Files that share a bundle one after the other, so that there is room for one bundle at a time.
sort -t '|' -k 1,1 -s "$work/entries" > "$work/sorted"
of_type() { # types: sets what each line of standard input is, and calls the function named
  while IFS='|' read -r bundle typ path64 mode owner ids time inode link acl attributes sha blocks; do
    case $1 in *"$typ"*) ;; *) continue ;; esac
    plain "$path64" && place && "$2"
  done
}

# Where an entry goes, if that is a place below the target.
place() {
  if [ "$typ" = s ]; then
    case $plain in '' | . | .. | */*) failed "$plain" "is no name of a snapshot"; return 1 ;; esac
    at=$target/snapshots/$plain
    return
  fi
  case $plain/ in //) ;; [!/]* | *//* | */./* | */../*) failed "$plain" "is no path"; return 1 ;; esac
  at=$target/files${plain%/}
}

# 3. Folders, open to us; then content; then what is linked to it; symlinks last, so that nothing is written
#    through one.
make_folder() { mkdir -p "$at" || failed "$plain" "cannot be made"; }
of_type d make_folder < "$work/sorted"

bundled() { # key, version, offset, length: what is stored in the bundle there, to standard output
  if [ "$1 $2" != "$in_bundle" ]; then
    in_bundle=
    get "$1" "$2" "$work/bundle" || return 1
    name=${1#bundles/}
    hashes_to "${name%.tar}" "$work/bundle" || return 1
    in_bundle="$1 $2"
  fi
  tail -c "+$(($3 + 1))" "$work/bundle" | head -c "$4"
}
in_bundle=

unpacked() {
  case $1 in gzip) gunzip -c ;; zstd) zstd -dcq ;; *) cat ;; esac
}

content() { # to the file $work/content
  : > "$work/content"
  [ "$blocks" = - ] && return
  for block in $blocks; do
    IFS=: read -r key64 version64 encoding times off len << FIELDS
$block
FIELDS
    key=$(decoded "$key64") && version=$(decoded "$version64") || return 1
    if [ "$off" != - ]; then
      bundled "$key" "$version" "$off" "$len" > "$work/stored" || return 1
    else
      get "$key" "$version" "$work/stored" || return 1
    fi
    unpacked "$encoding" < "$work/stored" > "$work/unpacked" || return 1
    while [ "$times" -gt 0 ]; do
      cat "$work/unpacked" >> "$work/content" || return 1
      times=$((times - 1))
    done
  done
  hashes_to "$sha" "$work/content"
}

make_file() {
  # Names of one inode have one "inode" and one SHA-256.
  first=
  if [ "$inode" != - ]; then
    first=$work/links/$(echo "$inode $sha" | sha256sum | cut -c 1-64)
    if [ -e "$first" ]; then
      plain "$(cat "$first")" && ln "$target/files$plain" "$at" && return
      plain "$path64"
    fi
  fi
  if ! content; then failed "$plain" "its content cannot be had, or is not what was backed up"; return; fi
  # Never through what is there already.
  if [ -e "$at" ] || [ -L "$at" ]; then failed "$plain" "is there already"; return; fi
  if ! mv "$work/content" "$at"; then failed "$plain" "cannot be written"; return; fi
  [ "$typ" = s ] && return
  metadata
  if [ -n "$first" ]; then printf %s "$path64" > "$first"; fi
}

# Whether a folder is where its path says: not if there is a symlink on the way.
is_real() { real=$(cd -P -- "$1" && pwd -P && echo x) && [ "${real%?x}" = "$1" ]; }

make_symlink() {
  if ! is_real "${at%/*}"; then failed "$plain" "the folder above it is none"; return; fi
  if [ -e "$at" ] || [ -L "$at" ]; then failed "$plain" "is there already"; return; fi
  plain "$link"
  if ln -s -- "$plain" "$at"; then metadata; else failed "$at" "cannot be made"; fi
}

# 4. Owner, mode, ACL, attributes, time, in this order: each would undo something of the next.
metadata() {
  if [ "$(id -u)" = 0 ] && [ "$owner" != - ]; then
    plain "$owner"
    chown -h -- "$plain" "$at" 2> /dev/null || chown -h "$ids" "$at" || failed "$at" "its owner cannot be set"
  fi
  if [ "$typ" != l ]; then
    chmod "$(printf %o "$mode")" "$at" || failed "$at" "its mode cannot be set"
    if [ "$acl" != - ] && command -v setfacl > /dev/null; then
      decoded "$acl" | setfacl -M - -- "$at" || failed "$at" "its ACL cannot be set"
    fi
  fi
  if [ "$attributes" != - ] && command -v setfattr > /dev/null; then
    for attribute in $attributes; do
      plain "${attribute%%:*}"
      value=${attribute#*:}
      # To setfattr 0s alone is no value at all.
      setfattr -h -n "$plain" ${value:+-v "0s$value"} -- "$at" || failed "$at" "its attribute $plain cannot be set"
    done
  fi
  # Not "@$time": the fraction counts forwards, also before 1970.
  touch -h -d "1970-01-01 00:00:00.${time#*.} UTC ${time%.*} seconds" -- "$at" || failed "$at" "its time cannot be set"
}

of_type f make_file < "$work/sorted"
of_type s make_file < "$work/sorted"
of_type l make_symlink < "$work/sorted"

# 5. Folders, those below first: their times change with what is written in them, and their modes may shut us out.
awk '{ line[NR] = $0 } END { for (i = NR; i > 0; i--) print line[i] }' "$work/entries" > "$work/reversed"
finish_folder() { if is_real "$at"; then metadata; else failed "$plain" "is no folder"; fi; }
of_type d finish_folder < "$work/reversed"

count=$(wc -l < "$work/failures")
[ "$count" -eq 0 ] || die "$count things were not restored"
echo "restored into $target" >&2
