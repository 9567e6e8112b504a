package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// A probe is what a visitor or a CA would see: directly, whatever the environment says of proxies.
func probe(ctx context.Context, c *ca) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	kinds := map[string]func(context.Context, *input) (answer, error){"addresses": addresses, "http": probeHTTP, "tls": probeTLS}
	kind, known := kinds[c.in.Kind]
	if !known {
		return nil, local("no probe %q: addresses, http or tls", clean(c.in.Kind, 40))
	}
	if c.in.Kind != "addresses" {
		if _, err := netip.ParseAddr(c.in.Address); err != nil {
			return nil, local("address: %v", err)
		}
	}
	return kind(ctx, c.in)
}

func (in *input) endpoint() string { return net.JoinHostPort(in.Address, strconv.Itoa(in.Port)) }

func probeHTTP(ctx context.Context, in *input) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, "GET", "http://"+in.endpoint()+in.Path, nil)
	if err != nil {
		return nil, local("%v", err)
	}
	request.Host = in.Name
	request.Header.Set("User-Agent", "chillbox")
	client := http.Transport{MaxResponseHeaderBytes: 64 << 10, DisableKeepAlives: true, DisableCompression: true}
	response, err := client.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("%s for %s: %w", in.endpoint(), in.Name, err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 512))
	var date any
	if parsed, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		date = at(parsed)
	}
	return answer{"status": response.StatusCode, "body": strings.ToValidUTF8(string(body), "?"), "location": null(clean(response.Header.Get("Location"), 512)), "date": date}, nil
}

// Whether the certificate is to be trusted is not asked: which one is served is.
func probeTLS(ctx context.Context, in *input) (answer, error) {
	dialer := tls.Dialer{Config: &tls.Config{ServerName: in.Name, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}}
	connection, err := dialer.DialContext(ctx, "tcp", in.endpoint())
	if err != nil {
		return nil, fmt.Errorf("%s for %s: %w", in.endpoint(), in.Name, err)
	}
	defer connection.Close()
	served := connection.(*tls.Conn).ConnectionState().PeerCertificates[0]
	digest := sha256.Sum256(served.Raw)
	names := []string{}
	for _, name := range served.DNSNames[:min(len(served.DNSNames), 200)] {
		names = append(names, clean(name, 255))
	}
	for _, ip := range served.IPAddresses[:min(len(served.IPAddresses), 50)] {
		names = append(names, ip.String())
	}
	return answer{"sha256": hex.EncodeToString(digest[:]), "not_after": at(served.NotAfter), "names": names}, nil
}

// addresses are those that DNS has, as a CA would find them: without /etc/hosts, where a host often has its own name at 127.0.1.1.
func addresses(ctx context.Context, in *input) (answer, error) {
	name, err := dnsmessage.NewName(strings.TrimSuffix(in.Name, ".") + ".")
	if err != nil {
		return nil, local("name: %v", err)
	}
	out := answer{}
	for member, kind := range map[string]dnsmessage.Type{"a": dnsmessage.TypeA, "aaaa": dnsmessage.TypeAAAA} {
		found, err := lookup(ctx, name, kind)
		if err != nil {
			return nil, problem{"dns", fmt.Sprintf("%s record of %s: %v", strings.ToUpper(member), in.Name, err), in.Name}
		}
		out[member] = found
	}
	return out, nil
}

// lookup asks each server of resolv.conf, twice. No such name is no address, and no error.
func lookup(ctx context.Context, name dnsmessage.Name, kind dnsmessage.Type) ([]string, error) {
	text, _ := os.ReadFile("/etc/resolv.conf")
	var servers []string
	for _, line := range strings.Split(string(text), "\n") {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "nameserver" {
			servers = append(servers, net.JoinHostPort(words[1], "53"))
		}
	}
	if len(servers) == 0 {
		servers = []string{"127.0.0.1:53"}
	}
	err := error(nil)
	for range 2 {
		for _, server := range servers {
			var found []string
			for _, network := range []string{"udp", "tcp"} {
				if found, err = ask(ctx, network, server, name, kind); !errors.Is(err, errTruncated) {
					break
				}
			}
			if err == nil {
				return found, nil
			}
		}
	}
	return nil, err
}

var errTruncated = errors.New("truncated")

func ask(ctx context.Context, network, server string, name dnsmessage.Name, kind dnsmessage.Type) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	connection, err := (&net.Dialer{}).DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	until, _ := ctx.Deadline()
	connection.SetDeadline(until)
	question := dnsmessage.Question{Name: name, Type: kind, Class: dnsmessage.ClassINET}
	id := uint16(rand.Uint32())
	query := dnsmessage.Message{Header: dnsmessage.Header{ID: id, RecursionDesired: true}, Questions: []dnsmessage.Question{question}}
	packed, err := query.Pack()
	if err != nil {
		return nil, err
	}
	if network == "tcp" {
		packed = append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)
	}
	if _, err := connection.Write(packed); err != nil {
		return nil, err
	}
	for {
		answered, err := readMessage(connection, network)
		if err != nil {
			return nil, err
		}
		var reply dnsmessage.Message
		if reply.Unpack(answered) == nil && reply.ID == id && reply.Response && len(reply.Questions) == 1 && reply.Questions[0].Type == kind && strings.EqualFold(reply.Questions[0].Name.String(), name.String()) {
			return records(&reply, network)
		}
	}
}

func readMessage(connection net.Conn, network string) ([]byte, error) {
	buffer := make([]byte, 65535)
	if network == "udp" {
		size, err := connection.Read(buffer)
		return buffer[:size], err
	}
	reader := bufio.NewReader(connection)
	var size uint16
	if err := binary.Read(reader, binary.BigEndian, &size); err != nil {
		return nil, err
	}
	_, err := io.ReadFull(reader, buffer[:size])
	return buffer[:size], err
}

// The resolver has followed names that stand for others.
func records(reply *dnsmessage.Message, network string) ([]string, error) {
	if reply.Truncated && network == "udp" {
		return nil, errTruncated
	}
	if reply.RCode != dnsmessage.RCodeSuccess && reply.RCode != dnsmessage.RCodeNameError {
		return nil, errors.New(strings.TrimPrefix(reply.RCode.String(), "RCode"))
	}
	found := []string{}
	for _, record := range reply.Answers[:min(len(reply.Answers), 100)] {
		switch body := record.Body.(type) {
		case *dnsmessage.AResource:
			found = append(found, netip.AddrFrom4(body.A).String())
		case *dnsmessage.AAAAResource:
			found = append(found, netip.AddrFrom16(body.AAAA).String())
		}
	}
	return found, nil
}
