package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mholt/acmez/v3/acme"
)

// Next to the account's key: what need not be asked again.
type known struct {
	URL     string
	Contact []string
}

// place is where the account at this CA is kept: one for each directory, so that a test CA never sees the key of the real one.
func (c *ca) place(suffix string) string {
	digest := sha256.Sum256([]byte(c.in.Directory))
	host := "ca"
	if parsed, err := url.Parse(c.in.Directory); err == nil && parsed.Hostname() != "" {
		host = strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
				return r
			}
			return '_'
		}, strings.ToLower(parsed.Hostname()))
	}
	return filepath.Join(c.in.Account, host+"-"+hex.EncodeToString(digest[:4])+suffix)
}

func readKey(path string) (crypto.Signer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, local("account key %s is damaged: move it away to register a new account", path)
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, local("account key %s is damaged (%v): move it away to register a new account", path, err)
	}
	return key, nil
}

// writeKey makes a key. The name appears when the key is whole and synced; an older key stays.
func writeKey(path string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	temporary, err := written(filepath.Dir(path), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o400)
	if err != nil {
		return local("account key: %v", err)
	}
	defer os.Remove(temporary)
	if err := os.Link(temporary, path); err != nil && !errors.Is(err, os.ErrExist) {
		return local("account key: %v", err)
	}
	return syncFolder(path)
}

func written(folder string, text []byte, mode os.FileMode) (string, error) {
	file, err := os.CreateTemp(folder, ".new-*")
	if err != nil {
		return "", err
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Chmod(mode), file.Sync(), file.Close())
	if err != nil {
		os.Remove(file.Name())
	}
	return file.Name(), err
}

func replace(path string, text []byte) error {
	temporary, err := written(filepath.Dir(path), text, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(os.Rename(temporary, path), syncFolder(path))
}

func syncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

func (c *ca) know(url string, contact []string) {
	text, _ := json.Marshal(known{url, contact})
	if err := replace(c.place(".json"), text); err != nil {
		c.warn("the account's address was not kept: %v", err)
	}
}

// registered is the account with its key and its address at the CA. It never makes one.
func (c *ca) registered(ctx context.Context) (acme.Account, error) {
	if err := c.finishRollover(ctx); err != nil {
		return acme.Account{}, err
	}
	key, err := readKey(c.place(".key"))
	if errors.Is(err, os.ErrNotExist) {
		return acme.Account{}, problem{kind: acme.ProblemTypeAccountDoesNotExist, detail: "no account key for " + c.in.Directory + " in " + c.in.Account}
	}
	if err != nil {
		return acme.Account{}, local("%v", err)
	}
	var kept known
	if text, err := os.ReadFile(c.place(".json")); err == nil && json.Unmarshal(text, &kept) == nil && kept.URL != "" {
		return acme.Account{PrivateKey: key, Location: kept.URL, Contact: kept.Contact, Status: acme.StatusValid}, nil
	}
	account, err := c.GetAccount(ctx, acme.Account{PrivateKey: key})
	if err == nil {
		c.know(account.Location, account.Contact)
	}
	return account, err
}

// forget makes the next run ask for the account's address: the CA does not know it (any more).
func (c *ca) forget(err error) error {
	if is(err, acme.ProblemTypeAccountDoesNotExist) {
		os.Remove(c.place(".json"))
	}
	return err
}

func is(err error, kinds ...string) bool {
	var p acme.Problem
	return errors.As(err, &p) && slices.Contains(kinds, p.Type)
}

func account(ctx context.Context, c *ca) (answer, error) {
	actions := map[string]func(context.Context) (acme.Account, bool, error){
		"ensure": c.ensure, "new": c.renew, "show": c.show, "deactivate": c.deactivate, "rollover": c.rollover,
	}
	action, known := actions[c.in.Action]
	if !known {
		return nil, local("no action %q: ensure, new, show, deactivate or rollover", clean(c.in.Action, 40))
	}
	found, created, err := action(ctx)
	if err != nil {
		return nil, c.forget(err)
	}
	thumbprint, err := found.Thumbprint()
	return answer{"url": found.Location, "thumbprint": thumbprint, "status": found.Status, "created": created}, err
}

func (c *ca) ensure(ctx context.Context) (acme.Account, bool, error) {
	if err := c.finishRollover(ctx); err != nil {
		return acme.Account{}, false, err
	}
	if err := writeKey(c.place(".key")); err != nil {
		return acme.Account{}, false, err
	}
	key, err := readKey(c.place(".key"))
	if err != nil {
		return acme.Account{}, false, local("%v", err)
	}
	wanted := acme.Account{PrivateKey: key, Contact: c.in.Contact, TermsOfServiceAgreed: true}
	found, err := c.GetAccount(ctx, acme.Account{PrivateKey: key})
	created := is(err, acme.ProblemTypeAccountDoesNotExist)
	if created {
		if eab := c.in.EAB; eab != nil {
			if err := wanted.SetExternalAccountBinding(ctx, c.Client, acme.EAB{KeyID: eab.KID, MACKey: strings.TrimRight(eab.Key, "=")}); err != nil {
				return wanted, false, local("eab: %v", err)
			}
		}
		found, err = c.NewAccount(ctx, wanted)
	}
	if err != nil {
		return found, false, err
	}
	if found.Status != acme.StatusValid {
		return found, false, acme.Problem{Type: acme.ProblemTypeUnauthorized, Detail: "the account is " + clean(found.Status, 40)}
	}
	if !created && len(c.in.Contact) > 0 && !slices.Equal(found.Contact, c.in.Contact) {
		if _, err := c.UpdateAccount(ctx, acme.Account{PrivateKey: key, Location: found.Location, Contact: c.in.Contact}); err != nil {
			c.warn("the CA kept the old contact: %v", err)
		}
	}
	c.know(found.Location, c.in.Contact)
	return found, created, nil
}

// renew puts an account that is of no use any more aside and registers another one.
func (c *ca) renew(ctx context.Context) (acme.Account, bool, error) {
	os.Remove(c.place(".json"))
	if err := os.Rename(c.place(".key"), c.place(".key.old")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return acme.Account{}, false, local("%v", err)
	}
	return c.ensure(ctx)
}

func (c *ca) show(ctx context.Context) (acme.Account, bool, error) {
	kept, err := c.registered(ctx)
	if err != nil {
		return kept, false, err
	}
	found, err := c.GetAccount(ctx, acme.Account{PrivateKey: kept.PrivateKey})
	return found, false, err
}

func (c *ca) deactivate(ctx context.Context) (acme.Account, bool, error) {
	kept, err := c.registered(ctx)
	if err != nil {
		return kept, false, err
	}
	at := kept.Location
	gone, err := c.UpdateAccount(ctx, acme.Account{PrivateKey: kept.PrivateKey, Location: at, Status: acme.StatusDeactivated})
	gone.Location = at
	return gone, false, err
}

// rollover: the new key is on the disk before the CA hears of it, so that a crash leaves one of the two that counts.
func (c *ca) rollover(ctx context.Context) (acme.Account, bool, error) {
	kept, err := c.registered(ctx)
	if err != nil {
		return kept, false, err
	}
	next := c.place(".key.next")
	if err := writeKey(next); err != nil {
		return kept, false, err
	}
	key, err := readKey(next)
	if err != nil {
		return kept, false, local("%v", err)
	}
	if _, err = c.AccountKeyRollover(ctx, kept, key); err != nil {
		return kept, false, err
	}
	if err := errors.Join(os.Rename(next, c.place(".key")), syncFolder(next)); err != nil {
		return kept, false, local("%v", err)
	}
	kept.PrivateKey = key
	return kept, false, nil
}

// finishRollover after one of which nobody knows how far it came: the CA is asked which key it has.
func (c *ca) finishRollover(ctx context.Context) error {
	next := c.place(".key.next")
	key, err := readKey(next)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		if _, err = c.GetAccount(ctx, acme.Account{PrivateKey: key}); err == nil {
			return os.Rename(next, c.place(".key"))
		}
		if !is(err, acme.ProblemTypeAccountDoesNotExist) {
			return err
		}
	}
	return os.Remove(next)
}

func revoke(ctx context.Context, c *ca) (answer, error) {
	certificate, err := leaf(c.in.Certificate)
	if err != nil {
		return nil, err
	}
	owner, err := c.registered(ctx)
	if err != nil {
		return nil, err
	}
	err = c.RevokeCertificate(ctx, owner, certificate, nil, c.in.Reason)
	if is(err, acme.ProblemTypeAlreadyRevoked) {
		err = nil
	}
	return answer{}, c.forget(err)
}
