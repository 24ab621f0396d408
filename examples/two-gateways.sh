#!/bin/sh
# Two gateways that share one Redis, behind HAProxy, on one machine: docker/two-gateways.yaml without containers.
#
#   examples/two-gateways.sh UPSTREAM          for example 127.0.0.1:2500; Ctrl-C ends it
#   swaks --server 127.0.0.1:2525 --xclient-addr 192.0.2.7 --from anna@example.net --to bob@example.org
#
# The client's first attempt gets 451, whichever gateway it meets; after DELAY it passes at either of them. Needs
# redis-server and haproxy, and: npm install --global mailhandler tldts@7 ioredis@6 prom-client@15
set -eu

upstream=${1:?UPSTREAM, the HOST:PORT of the mail server behind, is missing}
port=${PORT:-2525}
delay=${DELAY:-60s}
folder=${FOLDER:-$(mktemp -d)}
mailhandler=${MAILHANDLER:-mailhandler}
# For Redis, two gateways and their metrics.
set -- ${PORTS:-$((port + 1)) $((port + 2)) $((port + 3)) $((port + 4)) $((port + 5))}
redis=$1 first=$2 second=$3 first_check=$4 second_check=$5

cd "$folder"

# gateway NAME PORT METRICS_PORT. On several machines each has a copy of the file `salt`.
gateway() {
  cat > "$1.toml" <<EOF
name = "mx.example.org"
# Whoever connects here may say whose mail it is: only to try it out.
xclient = ["127.0.0.0/8"]

[[listen]]
address = "127.0.0.1:$2"
proxy = ["127.0.0.1"]

[recipients]
domains = ["example.org"]

[upstream]
address = "$upstream"

[greylist]
redis = "redis://127.0.0.1:$redis"
salt = "salt"
delay = "$delay"
hold = "all"

[log]
file = "$1.log"

[metrics]
listen = "127.0.0.1:$3"
EOF
  $mailhandler serve --config "$1.toml" &
  pids="$pids $!"
}

cat > haproxy.cfg <<EOF
defaults
    mode tcp
    timeout connect 5s
    timeout client 11m
    timeout server 11m

frontend smtp
    bind 127.0.0.1:$port
    default_backend gateways

backend gateways
    balance roundrobin
    option httpchk GET /readyz
    http-check expect status 200
    server first 127.0.0.1:$first send-proxy-v2 check port $first_check inter 1s rise 1
    server second 127.0.0.1:$second send-proxy-v2 check port $second_check inter 1s rise 1
EOF

pids=
trap 'trap - EXIT; kill $pids 2>/dev/null || true; wait' EXIT
trap 'exit 0' INT TERM

redis-server --port "$redis" --bind 127.0.0.1 --save '' --maxmemory 64mb --maxmemory-policy volatile-ttl > redis.log &
pids="$pids $!"
gateway first "$first" "$first_check"
gateway second "$second" "$second_check"
haproxy -q -f haproxy.cfg &
pids="$pids $!"
echo "port $port, files in $folder"
wait
