package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

const chainLimit = 96 << 10

// With these Let's Encrypt lets go of an authorization after 7 hours. Of others we do, so that a stolen account key is of no use.
var shortAuthorizations = []string{"tlsserver", "shortlived"}

func order(ctx context.Context, c *ca) (answer, error) {
	block, _ := pem.Decode([]byte(c.in.CSR))
	if block == nil {
		return nil, local("csr is not PEM")
	}
	if _, err := x509.ParseCertificateRequest(block.Bytes); err != nil {
		return nil, local("csr: %v", err)
	}
	if len(c.in.Names) == 0 {
		return nil, local("no names")
	}
	s, err := newSolver(c.in)
	if err != nil {
		return nil, err
	}
	s.undo(c) // what an earlier run could not take back
	owner, err := c.registered(ctx)
	if err != nil {
		return nil, c.forget(err)
	}
	o, replaced, err := c.open(ctx, owner)
	if err != nil {
		return nil, c.forget(err)
	}
	c.orderURL = o.Location
	if o.Status == acme.StatusPending {
		if err := c.authorize(ctx, owner, s, o.Authorizations); err != nil {
			return nil, c.forget(err)
		}
	}
	if o, err = c.issue(ctx, owner, o, block.Bytes); err != nil {
		return nil, c.forget(err)
	}
	chains, err := c.GetCertificateChain(ctx, owner, o.Certificate)
	if err != nil {
		return nil, err
	}
	if len(chains[0].ChainPEM) > chainLimit {
		c.orderURL = ""
		return nil, problem{kind: "network", detail: "the CA's chain is larger than 96 KiB"}
	}
	c.release(ctx, owner, o)
	return answer{"chain": string(chains[0].ChainPEM), "order_url": o.Location, "profile": null(o.Profile), "replaced": replaced, "ari": ari(chains[0].RenewalInfo)}, nil
}

func identifiers(names []string) []acme.Identifier {
	var list []acme.Identifier
	for _, name := range names {
		kind := "dns"
		if _, err := netip.ParseAddr(name); err == nil {
			kind = "ip"
		}
		list = append(list, acme.Identifier{Type: kind, Value: name})
	}
	return list
}

// open continues the order of an earlier run, if the CA still has it, or makes one. What this CA cannot do is left out, with a warning.
func (c *ca) open(ctx context.Context, owner acme.Account) (acme.Order, bool, error) {
	if c.in.OrderURL != "" {
		earlier, err := c.GetOrder(ctx, owner, acme.Order{Location: c.in.OrderURL})
		gone := c.status == http.StatusNotFound || c.status == http.StatusGone || is(err, acme.ProblemTypeMalformed, acme.ProblemTypeUnauthorized)
		if err != nil && !gone {
			c.orderURL = c.in.OrderURL
			return earlier, false, err
		}
		if err == nil && earlier.Status != acme.StatusInvalid && same(earlier.Identifiers, c.in.Names) {
			return earlier, earlier.Replaces != "", nil
		}
		c.warn("the earlier order cannot be continued: a new one is made")
	}
	directory, err := c.GetDirectory(ctx)
	if err != nil {
		return acme.Order{}, false, err
	}
	wanted := acme.Order{Identifiers: identifiers(c.in.Names), Profile: c.in.Profile}
	if wanted.Profile != "" && (directory.Meta == nil || !has(directory.Meta.Profiles, wanted.Profile)) {
		c.warn("the CA has no profile %s: ordered without one", wanted.Profile)
		wanted.Profile = ""
	}
	if c.in.Replaces != "" && directory.RenewalInfo != "" {
		old, err := leaf(c.in.Replaces)
		if err != nil {
			return wanted, false, err
		}
		if wanted.Replaces, err = acme.ARIUniqueIdentifier(old); err != nil {
			return wanted, false, local("replaces: %v", err)
		}
	}
	return c.openNew(ctx, owner, wanted)
}

// openNew asks for an order, at most three times: each time without what the CA refused.
func (c *ca) openNew(ctx context.Context, owner acme.Account, wanted acme.Order) (acme.Order, bool, error) {
	for {
		made, err := c.NewOrder(ctx, owner, wanted)
		switch {
		case err == nil:
			made.Profile = wanted.Profile
			return made, wanted.Replaces != "", nil
		case wanted.Profile != "" && is(err, acme.ProblemTypeNamespace+"invalidProfile"):
			c.warn("the CA refuses the profile %s: ordered without one", wanted.Profile)
			wanted.Profile = ""
		case wanted.Replaces != "" && is(err, acme.ProblemTypeAlreadyReplaced, acme.ProblemTypeMalformed, acme.ProblemTypeUnauthorized):
			c.warn("the CA does not take this order as a replacement (%v): ordered without it", err)
			wanted.Replaces = ""
		default:
			return made, false, err
		}
	}
}

func has(profiles map[string]string, name string) bool {
	_, there := profiles[name]
	return there
}

func same(have []acme.Identifier, names []string) bool {
	var values []string
	for _, one := range have {
		values = append(values, strings.ToLower(one.Value))
	}
	want := slices.Clone(names)
	slices.Sort(values)
	slices.Sort(want)
	return slices.Equal(values, want)
}

// authorize proves all names: presents everything, then lets the CA look at everything, so that all that is wrong is known after one order.
// What was presented is taken back in every case.
func (c *ca) authorize(ctx context.Context, owner acme.Account, s *solver, urls []string) error {
	defer s.undo(c)
	var pending []acme.Authorization
	var chosen []acme.Challenge
	for _, url := range urls {
		authz, err := c.GetAuthorization(ctx, owner, url)
		if err != nil {
			return err
		}
		if authz.Status != acme.StatusPending {
			continue
		}
		challenge, err := s.choose(owner, authz)
		if err == nil {
			err = s.present(ctx, challenge)
		}
		if err != nil {
			return err
		}
		pending, chosen = append(pending, authz), append(chosen, challenge)
	}
	for _, challenge := range chosen {
		if challenge.Status != acme.StatusPending { // an earlier run asked already
			continue
		}
		if _, err := c.InitiateChallenge(ctx, owner, challenge); err != nil {
			return err
		}
	}
	var wrong problems
	for _, authz := range pending {
		authz, err := c.PollAuthorization(ctx, owner, authz)
		var theirs acme.Problem
		if errors.As(err, &theirs) && authz.Status == acme.StatusInvalid {
			wrong = append(wrong, theirs)
		} else if err != nil {
			return err
		}
	}
	if len(wrong) > 0 {
		c.orderURL = "" // the CA has made it invalid
		return wrong
	}
	return nil
}

// issue sends the CSR, unless an earlier run did, and waits for the certificate.
func (c *ca) issue(ctx context.Context, owner acme.Account, o acme.Order, csr []byte) (acme.Order, error) {
	profile, location := o.Profile, o.Location
	var err error
	if o.Status == acme.StatusPending || o.Status == acme.StatusReady {
		o, err = c.FinalizeOrder(ctx, owner, o, csr)
	}
	for err == nil && o.Status == acme.StatusProcessing {
		pause := min(max(time.Until(c.retry), time.Second), 30*time.Second)
		select {
		case <-time.After(pause): // as the CA says: an order that is ready is no event
			o, err = c.GetOrder(ctx, owner, o)
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	o.Profile, o.Location = profile, location
	if o.Status == acme.StatusInvalid {
		c.orderURL = ""
		if o.Error != nil {
			return o, *o.Error
		}
		return o, acme.Problem{Type: acme.ProblemTypeServerInternal, Detail: "the CA made the order invalid and gave no reason"}
	}
	if err == nil && (o.Status != acme.StatusValid || o.Certificate == "") {
		err = acme.Problem{Type: acme.ProblemTypeServerInternal, Detail: "the order is " + clean(o.Status, 40) + " and has no certificate"}
	}
	return o, err
}

// release gives authorizations back that would live for weeks.
func (c *ca) release(ctx context.Context, owner acme.Account, o acme.Order) {
	if slices.Contains(shortAuthorizations, o.Profile) {
		return
	}
	for _, url := range o.Authorizations {
		if _, err := c.DeactivateAuthorization(ctx, owner, url); err != nil {
			c.warn("an authorization stays valid at the CA: %v", err)
			return
		}
	}
}
