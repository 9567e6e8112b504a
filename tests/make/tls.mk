# TLS as strangers see it.
.PHONY: test-tls-grade test-tls-load
test-tls-grade: deps $(BUILD)/test-nginx ## grade the generated configuration with testssl.sh: A, and A+ with a year of HSTS
	@GRADE=1 BUILD=$(BUILD) bats -f 'without a certificate|certificates each takes|testssl' bats/nginx-tls.bats

test-tls-load: deps $(BUILD)/test-nginx ## 100,000 requests over 20 renewals of the certificate, by each generation of NGINX: none may fail
	@REQUESTS=100000 RENEWALS=20 BUILD=$(BUILD) bats -f 'without a certificate|certificates each takes|are renewed' bats/nginx-tls.bats
