package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

const (
	bodyLimit    = 1 << 20 // one answer of the CA
	totalLimit   = 8 << 20 // all of them
	requestLimit = 1000    // of one run: a CA that says "again, at once" for ever is not obeyed
	requestTime  = 30 * time.Second
)

// A CA as one run sees it: the client, and what its last answer said in addition to the problem.
type ca struct {
	*acme.Client
	in        *input
	next      *http.Transport
	requests  int
	total     int
	status    int // of the last answer
	retry     time.Time
	link      string
	date      time.Time // the CA's clock
	orderURL  string
	warnings  []string
	untrusted error
}

func newCA(in *input) *ca {
	c := &ca{in: in, next: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: 64 << 10,
		TLSHandshakeTimeout:    15 * time.Second,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
	}}
	if in.CAFile != "" {
		roots := x509.NewCertPool()
		if text, err := os.ReadFile(in.CAFile); err != nil {
			c.untrusted = local("ca_file: %v", err)
		} else if !roots.AppendCertsFromPEM(text) {
			c.untrusted = local("ca_file %s has no certificate in it", in.CAFile)
		}
		c.next.TLSClientConfig.RootCAs = roots
	}
	c.Client = &acme.Client{
		Directory:    in.Directory,
		UserAgent:    "chillbox",
		PollInterval: time.Second,
		PollTimeout:  24 * time.Hour, // the run's deadline is the limit
		HTTPClient:   &http.Client{Transport: c, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	return c
}

func (c *ca) warn(format string, values ...any) {
	c.warnings = append(c.warnings, clean(fmt.Sprintf(format, values...), textLimit))
}

// Every request to the CA passes here. The whole answer is read, so that nothing after it waits or grows.
func (c *ca) RoundTrip(request *http.Request) (*http.Response, error) {
	if c.untrusted != nil {
		return nil, c.untrusted
	}
	if request.URL.Scheme != "https" {
		return nil, fmt.Errorf("%s is not an https address", clean(request.URL.String(), 200))
	}
	if c.requests++; c.requests > requestLimit {
		return nil, fmt.Errorf("gave up after %d requests", requestLimit)
	}
	ctx, cancel := context.WithTimeout(request.Context(), requestTime)
	defer cancel()
	c.status, c.retry, c.link = 0, time.Time{}, ""
	response, err := c.next.RoundTrip(request.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, bodyLimit+1))
	if err != nil {
		return nil, err
	}
	if len(body) > bodyLimit {
		return nil, fmt.Errorf("%s answered with more than %d bytes", request.URL.Host, bodyLimit)
	}
	if c.total += len(body); c.total > totalLimit {
		return nil, fmt.Errorf("%s sent more than %d bytes", request.URL.Host, totalLimit)
	}
	c.remember(response)
	if c.status >= 300 && c.status < 400 {
		return nil, fmt.Errorf("%s redirects to %q, which is not followed", request.URL.Host, clean(response.Header.Get("Location"), 200))
	}
	if c.status >= 400 && json.Valid(body) { // some say only "application/json"
		response.Header.Set("Content-Type", "application/problem+json")
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

var helpLink = regexp.MustCompile(`<([^<>]+)>;\s*rel="?(?:help|terms-of-service)"?`)

func (c *ca) remember(response *http.Response) {
	c.status = response.StatusCode
	c.date, _ = http.ParseTime(response.Header.Get("Date"))
	after := response.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(after); err == nil && seconds >= 0 {
		c.retry = time.Now().Add(time.Duration(min(seconds, 366*86400)) * time.Second)
	} else {
		c.retry, _ = http.ParseTime(after)
	}
	for _, value := range response.Header.Values("Link") {
		if found := helpLink.FindStringSubmatch(value); found != nil {
			c.link = found[1]
		}
	}
}

// An error of ours: of this host's files, input or DNS program. Its kind is the problem's type.
type problem struct{ kind, detail, identifier string }

func (p problem) Error() string { return p.detail }

func local(format string, values ...any) error {
	return problem{kind: "local", detail: fmt.Sprintf(format, values...)}
}

// What several authorizations of one order said.
type problems []acme.Problem

func (p problems) Error() string { return p[0].Error() }

func (c *ca) failure(ctx context.Context, err error) answer {
	var ours problem
	var many problems
	var theirs acme.Problem
	report := answer{"type": "network", "status": nil, "detail": "", "identifier": nil, "subproblems": []answer{}, "link": nil}
	if c.status != 0 {
		report["status"] = c.status
	}
	switch {
	case errors.As(err, &ours):
		report["type"], report["detail"], report["status"] = ours.kind, ours.detail, nil
		if ours.identifier != "" {
			report["identifier"] = ours.identifier
		}
	case errors.As(err, &many):
		c.tell(report, many[0])
		if len(many) > 1 {
			for _, one := range many {
				report["subproblems"] = append(report["subproblems"].([]answer), answer{"type": one.Type, "detail": clean(one.Detail, 400), "identifier": identifier(one)})
			}
		}
	case errors.As(err, &theirs):
		c.tell(report, theirs)
	case ctx.Err() != nil:
		report["type"], report["detail"] = "deadline", fmt.Sprintf("not done within %g seconds: %v", c.in.Deadline, err)
	case c.status == http.StatusTooManyRequests:
		report["type"], report["detail"] = acme.ProblemTypeRateLimited, err.Error()
	default:
		report["detail"] = explained(err)
	}
	report["detail"] = clean(report["detail"].(string), textLimit)
	if c.status < 400 { // of an order that is not ready, not of a refusal
		c.retry = time.Time{}
	}
	out := answer{"ok": false, "problem": report, "retry_at": at(c.retry), "order_url": null(c.orderURL), "ca_date": at(c.date)}
	if len(c.warnings) > 0 {
		out["warnings"] = c.warnings
	}
	return out
}

var anyLink = regexp.MustCompile(`https://[^\s<>"']+[^\s<>"'.,;:)]`)

// tell fills in a problem document of the CA (RFC 8555, 6.7). The link is where a person can do something about it.
func (c *ca) tell(report answer, p acme.Problem) {
	report["type"], report["detail"], report["identifier"] = clean(p.Type, 200), p.Detail, identifier(p)
	if p.Type == "" {
		report["type"] = "network"
	}
	if p.Detail == "" {
		report["detail"] = "the CA gave no reason"
	}
	if p.Status != 0 {
		report["status"] = p.Status
	}
	for i, sub := range p.Subproblems {
		if i < 100 {
			report["subproblems"] = append(report["subproblems"].([]answer), answer{"type": clean(sub.Type, 200), "detail": clean(sub.Detail, 400), "identifier": null(clean(sub.Identifier.Value, 253))})
		}
	}
	for _, link := range []string{p.Instance, c.link, anyLink.FindString(p.Detail)} {
		if parsed, err := url.Parse(link); err == nil && parsed.Scheme == "https" && parsed.Host != "" && len(link) <= 2048 && link == clean(link, 2048) {
			report["link"] = link
			return
		}
	}
}

func identifier(p acme.Problem) any {
	if authz, known := p.Resource.(acme.Authorization); known {
		return null(clean(authz.IdentifierValue(), 255))
	}
	if len(p.Subproblems) == 1 {
		return null(clean(p.Subproblems[0].Identifier.Value, 255))
	}
	return nil
}

// explained says what a person would otherwise have to know about an error of TLS.
func explained(err error) string {
	var invalid x509.CertificateInvalidError
	var authority x509.UnknownAuthorityError
	switch text := err.Error(); {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("%s: this host's clock says %s: check it", text, time.Now().UTC().Format(time.RFC3339))
	case errors.As(err, &authority):
		return text + ": install ca-certificates, or name the CA's root in ca_file"
	default:
		return text
	}
}

func null(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func at(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

func leaf(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, local("no certificate in PEM")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, local("certificate: %v", err)
	}
	return certificate, nil
}

// ari is what RFC 9773 says about a certificate, or nil.
func ari(info *acme.RenewalInfo) any {
	if info == nil || !info.HasWindow() {
		return nil
	}
	wait := 6 * time.Hour
	if info.RetryAfter != nil {
		wait = time.Until(*info.RetryAfter)
	}
	explanation := any(nil)
	if parsed, err := url.Parse(info.ExplanationURL); err == nil && parsed.Scheme == "https" && len(info.ExplanationURL) <= 2048 {
		explanation = clean(info.ExplanationURL, 2048)
	}
	return answer{"start": at(info.SuggestedWindow.Start), "end": at(info.SuggestedWindow.End), "selected": at(info.SelectedTime),
		"retry_after": max(0, int(wait.Round(time.Second).Seconds())), "explanation": explanation}
}

func renewalInfo(ctx context.Context, c *ca) (answer, error) {
	certificate, err := leaf(c.in.Certificate)
	if err != nil {
		return nil, err
	}
	if _, err := c.GetDirectory(ctx); err != nil {
		return nil, err
	}
	info, err := c.GetRenewalInfo(ctx, certificate)
	if err != nil && !errors.Is(err, acme.ErrUnsupported) {
		c.warn("no renewal information: %v", err)
	}
	return answer{"ari": ari(&info)}, nil
}
