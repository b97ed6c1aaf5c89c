#!/bin/sh
# Ask over HTTP and read the answer as Server-Sent Events, with nothing but curl.
#
#   client_examples/curl_sse.sh 'Why is the sky blue?' [ROOM] [URL]
#   client_examples/curl_sse.sh 'Why is the sky blue?' | jq -rj '.delta // empty'
#
# Prints the events of the answer, one JSON object a line. The last line on standard error says
# how to go on from there.
set -eu
prompt=$1 room=${2:-lobby} url=${3:-http://127.0.0.1:8080}

field() { # the first string (or number) with this name in a JSON object
  sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p" | head -n 1
}

# A command is one JSON object. Its id must never repeat: sent again, it does not happen again.
id=curl-$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
text=$(printf %s "$prompt" | tr '\n' ' ' | sed 's/\\/\\\\/g; s/"/\\"/g')
reply=$(printf '{"type":"message.create","id":"%s","content":"%s"}' "$id" "$text" |
  curl -sS -H 'Content-Type: application/json' --data-binary @- "$url/v1/rooms/$room/commands")
response=$(printf %s "$reply" | field response_id)
if [ -z "$response" ]; then
  printf '%s\n' "$reply" >&2
  exit 1
fi
seq=$(printf %s "$reply" | field seq)
epoch=$(curl -sS "$url/v1/rooms/$room?items=0" | field epoch)

# Follow the room from our own message on: nothing can have been missed in between.
pipe=$(mktemp -u)
mkfifo "$pipe"
curl -sSN -H "Last-Event-ID: $epoch:$seq" "$url/v1/rooms/$room/events" >"$pipe" &
reader=$!
trap 'kill "$reader" 2>/dev/null || true; rm -f "$pipe"' EXIT INT TERM

last=
while IFS= read -r line; do
  case $line in
  id:*) last=${line#id: } ;;
  data:*"\"response_id\":\"$response\""*)
    printf '%s\n' "${line#data: }"
    case $line in
    *'"type":"response.'completed\"* | *'"type":"response.'incomplete\"* | *'"type":"response.'failed\"* | \
      *'"type":"response.'cancelled\"* | *'"type":"response.'interrupted\"*) break ;;
    esac
    ;;
  esac
done <"$pipe"
printf 'to go on: curl -N -H "Last-Event-ID: %s" %s/v1/rooms/%s/events\n' "$last" "$url" "$room" >&2
