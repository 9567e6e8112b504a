// The shipped ACME engine: chillbox-hooks(7), ENGINES, has the contract. A verb as its argument, one JSON object on standard input, one on
// standard output. It sees a CSR and the account's key, and no key of a site. What the CA says is bounded in size, number and time.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const (
	inputLimit = 1 << 20
	textLimit  = 1000 // of a detail; a link may be longer
)

type input struct {
	Directory string
	CAFile    string `json:"ca_file"`
	Account   string
	Deadline  float64

	Contact []string
	EAB     *struct {
		KID string
		Key string `json:"hmac_key"`
	}
	Action string

	CSR                       string
	Names                     []string
	Challenge, Webroot, DNS   string
	Profile, Replaces         string
	OrderURL                  string `json:"order_url"`
	Certificate               string
	Reason                    int
	Kind, Name, Address, Path string
	Port                      int
}

type answer map[string]any

var verbs = map[string]func(context.Context, *ca) (answer, error){
	"account": account, "order": order, "renewal-info": renewalInfo, "revoke": revoke, "probe": probe,
}

// Time is kept back for taking back what was presented: a cleanup that hangs may not cost the answer.
func (in *input) reserve() time.Duration {
	return min(30*time.Second, time.Duration(in.Deadline*float64(time.Second))/4)
}

func run(name string) (answer, error) {
	verb, known := verbs[name]
	if !known {
		return nil, local("no verb %q: account, order, renewal-info, revoke or probe", clean(name, 40))
	}
	in := &input{Deadline: 120}
	text, err := io.ReadAll(io.LimitReader(os.Stdin, inputLimit+1))
	if err == nil && len(text) > inputLimit {
		err = fmt.Errorf("more than %d bytes", inputLimit)
	}
	if err == nil {
		err = json.Unmarshal(text, in)
	}
	if err == nil && !(in.Deadline >= 1 && in.Deadline <= 86400) {
		err = errors.New("deadline is not between 1 and 86400 seconds")
	}
	if err != nil {
		return nil, local("standard input: %v", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(in.Deadline*float64(time.Second))-in.reserve())
	defer cancel()
	c := newCA(in)
	out, err := verb(ctx, c)
	if err != nil {
		return c.failure(ctx, err), nil
	}
	out["ok"] = true
	if len(c.warnings) > 0 || name == "order" {
		out["warnings"] = append([]string{}, c.warnings...)
	}
	return out, nil
}

func main() {
	name := ""
	if len(os.Args) == 2 {
		name = os.Args[1]
	}
	out, err := run(name)
	if err != nil {
		out = newCA(&input{}).failure(context.Background(), err)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(out) != nil {
		os.Exit(1)
	}
}

// One line of text that is safe to show: what it is made of came from strangers.
func clean(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || (r >= 0x2028 && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "..."
	}
	return strings.TrimSpace(text)
}
