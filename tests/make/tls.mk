# TLS as strangers see it.
.PHONY: test-tls-grade
test-tls-grade: deps $(BUILD)/test-nginx ## grade the generated configuration with testssl.sh: A, and A+ with a year of HSTS
	@GRADE=1 BUILD=$(BUILD) bats -f 'without a certificate|certificates each takes|testssl' bats/nginx-tls.bats
