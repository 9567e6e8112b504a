#!/usr/bin/env bats
# The example for Prometheus and Grafana: its alerts do what they say, and each name in it is one that a host has.

setup() {
    cd "$BATS_TEST_DIRNAME/.." || return
    export example=docs/examples/monitoring
}

families() { sed -n 's/.*"\(chillbox_[a-z0-9_]*[a-z0-9]\)".*/\1/p' agent/daemon/metrics.cpp; printf 'chillbox_backup_%s_timestamp_seconds\n' taken stored proven; }
names() { grep -rhoE 'chillbox_[a-z0-9_]+' "$@" | sed -E 's/_(total|info|bucket|sum|count)$//' | sort -u; }

@test "the alerts of the example fire when they should, and not before" {
    prometheus=$(sh tests/host/debs bookworm prometheus) || skip "needs Debian's package prometheus"
    "$prometheus/usr/bin/promtool" check rules "$example"/chillbox.rules.yml
    "$prometheus/usr/bin/promtool" test rules "$example"/chillbox.test.yml
    touch "$BATS_TEST_TMPDIR/chillbox.token"
    sed "s|/etc/prometheus|$BATS_TEST_TMPDIR|; s|chillbox.rules.yml|$PWD/$example/chillbox.rules.yml|" "$example"/prometheus.yml >"$BATS_TEST_TMPDIR/prometheus.yml"
    "$prometheus/usr/bin/promtool" check config "$BATS_TEST_TMPDIR/prometheus.yml"
}

@test "the dashboard is JSON, and the alerts, the dashboard and the manual name only what there is" {
    jq -e '.panels | length > 10' "$example"/grafana.json
    families | sort -u >"$BATS_TEST_TMPDIR/families"
    names "$example"/*.yml "$example"/grafana.json | comm -23 - "$BATS_TEST_TMPDIR/families" >"$BATS_TEST_TMPDIR/unknown"
    [ ! -s "$BATS_TEST_TMPDIR/unknown" ] || { cat "$BATS_TEST_TMPDIR/unknown"; false; }
    # chillboxd(8) has all of them, without the prefix
    sed -n '/^# METRICS/,/^# HOUSEKEEPING/p' agent/man/chillboxd.8.scd | tr -d '\\' | grep -oE '[a-z0-9]+(_[a-z0-9]+)+|sealed' | sed -E 's/^chillbox_//; s/_(total|info)$//' | sort -u >"$BATS_TEST_TMPDIR/told"
    sed 's/^chillbox_//' "$BATS_TEST_TMPDIR/families" | sort -u | comm -23 - "$BATS_TEST_TMPDIR/told" >"$BATS_TEST_TMPDIR/untold"
    [ "$(grep -vxE 'build|site|jobs|webhooks_refused|uploads_refused' "$BATS_TEST_TMPDIR/untold" || :)" = '' ] || { cat "$BATS_TEST_TMPDIR/untold"; false; }
}
