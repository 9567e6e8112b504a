package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// What was presented and is to be taken back: a file in the webroot, or a TXT record.
type presented struct {
	File    string `json:",omitempty"`
	Program string `json:",omitempty"`
	FQDN    string `json:",omitempty"`
	Value   string `json:",omitempty"`
}

// A solver presents the answers to challenges. It writes down what it is about to present, so that the next run takes back what a killed one left.
type solver struct {
	in   *input
	list []presented
}

func newSolver(in *input) (*solver, error) {
	switch {
	case in.Challenge == "http-01" && filepath.IsAbs(in.Webroot):
	case in.Challenge == "dns-01" && filepath.IsAbs(in.DNS):
	case in.Challenge == "http-01":
		return nil, local("http-01 needs a webroot")
	case in.Challenge == "dns-01":
		return nil, local("dns-01 needs a program for DNS")
	default:
		return nil, local("no challenge %q: http-01 or dns-01", clean(in.Challenge, 40))
	}
	s := &solver{in: in}
	text, err := os.ReadFile(s.journal())
	if err == nil && json.Unmarshal(text, &s.list) != nil {
		s.list = nil
	}
	return s, nil
}

func (s *solver) journal() string { return filepath.Join(s.in.Account, "presented.json") }

func (s *solver) write() error {
	if len(s.list) == 0 {
		if err := os.Remove(s.journal()); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	text, err := json.Marshal(s.list)
	if err != nil {
		return err
	}
	return replace(s.journal(), text)
}

// A token is the name of a file, and part of a record.
var token = regexp.MustCompile(`^[A-Za-z0-9_-]{1,200}$`)

// choose finds the challenge. What a CA says becomes the name of a file and a record of DNS, so it must be of this order and of this account.
func (s *solver) choose(owner acme.Account, authz acme.Authorization) (acme.Challenge, error) {
	name := authz.IdentifierValue()
	if !slices.Contains(s.in.Names, name) {
		return acme.Challenge{}, problem{"network", fmt.Sprintf("the CA wants a proof for %q, which was not ordered", clean(name, 255)), ""}
	}
	thumbprint, err := owner.Thumbprint()
	if err != nil {
		return acme.Challenge{}, local("%v", err)
	}
	var offered []string
	for _, challenge := range authz.Challenges {
		if challenge.Type == s.in.Challenge {
			if !token.MatchString(challenge.Token) {
				return challenge, problem{"network", fmt.Sprintf("the CA's token %q is not base64url", clean(challenge.Token, 40)), name}
			}
			challenge.KeyAuthorization = challenge.Token + "." + thumbprint
			return challenge, nil
		}
		offered = append(offered, clean(challenge.Type, 40))
	}
	return acme.Challenge{}, problem{"local", fmt.Sprintf("the CA does not offer %s for %s, only %s", s.in.Challenge, name, strings.Join(offered, ", ")), name}
}

func (s *solver) present(ctx context.Context, challenge acme.Challenge) error {
	thing := presented{Program: s.in.DNS, FQDN: challenge.DNS01TXTRecordName() + ".", Value: challenge.DNS01KeyAuthorization()}
	if s.in.Challenge == "http-01" {
		thing = presented{File: filepath.Join(s.in.Webroot, challenge.HTTP01ResourcePath())}
	}
	s.list = append(s.list, thing)
	if err := s.write(); err != nil {
		return local("%v", err)
	}
	if thing.File != "" {
		err := os.WriteFile(thing.File, []byte(challenge.KeyAuthorization), 0o644)
		if err == nil {
			err = os.Chmod(thing.File, 0o644) // whatever the umask is: NGINX reads it
		}
		if err != nil {
			return local("%v", err)
		}
		return nil
	}
	return s.dns(ctx, time.Minute, "present", thing)
}

// undo takes back everything that was presented, each once. It has time of its own, after the deadline of the rest.
func (s *solver) undo(c *ca) {
	ctx, cancel := context.WithTimeout(context.Background(), s.in.reserve()*3/4)
	defer cancel()
	for len(s.list) > 0 {
		thing, share := s.list[0], s.in.reserve()*3/4/time.Duration(len(s.list))
		if thing.File != "" {
			if err := os.Remove(thing.File); err != nil && !errors.Is(err, os.ErrNotExist) {
				c.warn("%v", err)
			}
		} else if err := s.dns(ctx, share, "cleanup", thing); err != nil {
			c.warn("%v", err)
		}
		s.list = s.list[1:]
		if err := s.write(); err != nil {
			c.warn("%v", err)
		}
	}
}

// dns runs the program of hooks/dns. Its last words on standard error are the message.
func (s *solver) dns(ctx context.Context, limit time.Duration, verb string, thing presented) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var said tail
	command := exec.CommandContext(ctx, thing.Program, verb, thing.FQDN, thing.Value)
	command.Stderr = &said
	command.WaitDelay = time.Second // a child of it may hold the pipe
	err := command.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("did not end within %s", limit.Round(time.Millisecond))
	}
	if err == nil || errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	return problem{"dns", clean(fmt.Sprintf("%s %s %s: %v: %s", filepath.Base(thing.Program), verb, thing.FQDN, err, lines[len(lines)-1]), textLimit),
		strings.TrimSuffix(strings.TrimPrefix(thing.FQDN, "_acme-challenge."), ".")}
}

// The last bytes of what a program says.
type tail []byte

func (t *tail) Write(text []byte) (int, error) {
	*t = append(*t, text...)
	if len(*t) > 4096 {
		*t = bytes.Clone((*t)[len(*t)-4096:])
	}
	return len(text), nil
}
