#!/bin/sh
# Deploys without chillboxctl, using tar, zstd, age, minisign, openssl and curl. chillbox-webhook(7) describes what goes over the wire.
#
#   deploy.sh URL SITE VERSION     the folder SITE with SITE.site.json and the folders of its services
#   deploy.sh URL SITE secrets     the folder SITE.secrets with SERVICE/FILE
#
# The working directory holds recipient.txt (the host's), deployer.key (minisign's) and hook.key (what `chillboxctl webhook add` printed, with
# --types site.deploy,secrets.update). Exit 0: the release is live, or the secrets are stored.
set -eu

url=$1 site=$2 version=$3
file=$site-$version.tar.zst.age
rm -f -- "$file" "$file.minisig" # minisign does not overwrite a signature

# Make an archive, compressed and encrypted to the host: one program after the other, so that one that fails ends the deploy.
packed=$(mktemp -d)
trap 'rm -rf -- "$packed"' EXIT
if [ "$version" = secrets ]; then
  type=secrets.update statement="site=$site secrets"
  (cd -- "$site.secrets" && tar -c -f "$packed/tar" -- *)
else
  type=site.deploy statement="site=$site version=$version"
  tar -c -f "$packed/tar" -- "$site"
fi
zstd -q "$packed/tar"
age -R recipient.txt -o "$file" "$packed/tar.zst"

# Sign it: for which site and version, and with a serial newer than all before.
sha256=$(sha256sum <"$file" | cut -d ' ' -f 1)
minisign -S -q -s deployer.key -m "$file" -t "chillbox $statement serial=$(($(date +%s) / 60)) sha256=$sha256"

# Announce it with a Standard Webhook.
id=msg_$(openssl rand -hex 16)
time=$(date +%s)
printf '{"type":"%s","timestamp":"%s","data":{"site":"%s","version":"%s","sha256":"%s","size":%d}}' \
  "$type" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$site" "${version#secrets}" "$sha256" "$(wc -c <"$file")" >body
key=$(sed -n 's/^whsec_//p' hook.key | openssl base64 -d -A | od -An -v -t x1 | tr -d ' \n')
# HMAC (RFC 2104) in the shell itself: every user of this machine can read what a program gets as an argument.
pad() { # BYTE: the key, 64 bytes with zeros at its end, each with XOR
  rest=$key count=0
  while [ $((count += 1)) -le 64 ]; do
    next=${rest#??}
    printf '%b' "\\0$(printf %03o $((0x0${rest%"$next"} ^ $1)))"
    rest=$next
  done
}
printf '%s.%s.' "$id" "$time" >"$packed/said"
{ pad 0x36; cat "$packed/said" body; } | openssl dgst -sha256 -binary >"$packed/inner"
signature=v1,$({ pad 0x5c; cat "$packed/inner"; } | openssl dgst -sha256 -binary | openssl base64 -A)
curl -sSf --retry 5 "$url/v1/hooks" -H "webhook-id: $id" -H "webhook-timestamp: $time" -H "webhook-signature: $signature" \
  -H 'content-type: application/json' --data-binary @body >answer

# Upload it, going on where it broke off, and follow the job to its end.
link() { sed -n 's/.*"'"$1"'":"\([^"]*\)".*/\1/p' answer; }
curl -sSf --retry 5 -T "$file.minisig" -H 'expect:' "$url$(link signature)"
send() { curl -sSf -C "$1" -T "$file" -H 'expect:' "$url$(link artifact)"; }
received() { curl -sSf --retry 5 "$url$(link status)" | sed -n 's/.*"upload":{"received":\([0-9]*\),"running":'"$1"'}.*/\1/p'; }
send 0 || {
  while [ -n "$(received true)" ]; do sleep 1; done # the host still waits for the rest
  send "$(received false)"
}
# The stream may end before the job does: after an hour, while others have all streams, or when the host is upgraded.
last=0
while :; do
  curl -sSN -H "last-event-id: $last" "$url$(link events)" | sed -n -e 's/^data: //p' -e "/^id: /w $packed/ids" || :
  [ ! -s "$packed/ids" ] || last=$(sed -n '$s/^id: //p' "$packed/ids")
  curl -sSf --retry 5 "$url$(link status)" >"$packed/job"
  grep -qE '"state":"(queued|running|waiting-[a-z]*)"' "$packed/job" || break
  sleep 2
done
grep -q '"state":"done"' "$packed/job"
