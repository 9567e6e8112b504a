module chillbox/acmez

go 1.26.0

require (
	github.com/mholt/acmez/v3 v3.1.7
	golang.org/x/net v0.59.0
)
