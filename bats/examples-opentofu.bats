#!/usr/bin/env bats
# docs/examples/opentofu: what they are, by HCL's own parser; and that of Route 53 by its provider, where the machine has tofu or terraform and that
# provider (TF_PLUGINS=DIR, as for -plugin-dir). That a host answers what they ask is in host-ready.bats.

bats_require_minimum_version 1.5.0

setup() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    export TF_CLI_CONFIG_FILE='' CHECKPOINT_DISABLE=1
    cd "$BATS_TEST_TMPDIR" || return
    cp -r "$ROOT/docs/examples/opentofu" .
}
teardown() { printf '%s\n' "${output-}"; }

hclfmt() {
    program=${XDG_CACHE_HOME:-$HOME/.cache}/chillbox-hcl/v2.24.0/hclfmt
    [ -x "$program" ] || { go=$(sh "$ROOT/.ci/go" get) && CGO_ENABLED=0 GOBIN=${program%/*} "$go" install github.com/hashicorp/hcl/v2/cmd/hclfmt@v2.24.0 >&2; } || skip 'needs Go and its module proxy'
    "$program" "$@"
}

@test "each is HCL, and written as its formatter writes it" {
    for file in opentofu/*/main.tf; do
        run -0 hclfmt -check -require-no-change -w "$file"
        cmp "$file" "$ROOT/docs/examples/$file"
    done
    # The check can fail.
    sed -i '/^}/d' opentofu/route53/main.tf
    run ! hclfmt -check -w opentofu/route53/main.tf
}

@test "Route 53 checks the addresses of all hosts for the site's readiness, with its name, and each record hangs on its check" {
    tofu=$(command -v tofu || command -v terraform) || skip 'needs tofu or terraform'
    cd opentofu/route53
    "$tofu" init -no-color -input=false ${TF_PLUGINS:+-plugin-dir="$TF_PLUGINS"} >init 2>&1 || skip "needs the provider aws: $(tail -n 1 init)"
    run -0 "$tofu" validate -no-color
    cat >plan.tftest.hcl <<'HCL'
mock_provider "aws" {
  mock_resource "aws_route53_health_check" {
    defaults = { id = "of-the-check" }
  }
}
run "hosts" {
  variables {
    site    = "hello"
    name    = "hello.example"
    zone_id = "Z123"
    hosts   = { web1 = "192.0.2.1", web2 = "2001:db8::2" }
  }
  assert {
    condition     = { for key, one in aws_route53_health_check.ready : key => [one.type, one.ip_address, one.fqdn, one.resource_path] } == { web1 = ["HTTPS", "192.0.2.1", "hello.example", "/hello/ready"], web2 = ["HTTPS", "2001:db8::2", "hello.example", "/hello/ready"] }
    error_message = "the checks"
  }
  assert {
    condition     = [for one in aws_route53_record.host : [one.name, one.type, one.health_check_id]] == [["hello.example", "A", "of-the-check"], ["hello.example", "AAAA", "of-the-check"]]
    error_message = "the records"
  }
}
HCL
    run -0 "$tofu" test -no-color
}
