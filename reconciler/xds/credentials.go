package xds

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/edgewright/edgewright/schema"
)

const shortestToken = 16 // characters

func parseCertificate(files [][]byte) (tls.Certificate, error) {
	return tls.X509KeyPair(files[0], files[1])
}

func parseAuthorities(files [][]byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(files[0]) {
		return nil, errors.New("no certificate in PEM form")
	}
	return pool, nil
}

// words are the words of each line of a file, but for blank lines and comments.
func words(file []byte, take func(line int, words []string) error) error {
	for n, text := range strings.Split(string(file), "\n") {
		text, _, _ = strings.Cut(text, "#")
		if w := strings.Fields(text); len(w) > 0 {
			if err := take(n+1, w); err != nil {
				return err
			}
		}
	}
	return nil
}

// parseNames reads lines "DNS name, fleet, node"; without a node the name is for any of the fleet.
func parseNames(files [][]byte) (map[string]identity, error) {
	out := map[string]identity{}
	err := words(files[0], func(line int, w []string) error {
		name := strings.ToLower(w[0])
		if len(w) != 2 && len(w) != 3 {
			return fmt.Errorf("line %d: want a DNS name, a fleet and, if it is for one only, a node", line)
		}
		if _, twice := out[name]; twice {
			return fmt.Errorf("line %d: %s stands there twice", line, name)
		}
		i := identity{fleet: schema.FleetID(w[1])}
		if len(w) == 3 {
			i.node = w[2]
		}
		out[name] = i
		return nil
	})
	return out, err
}

// parseTokens reads lines "fleet token". No error holds a token.
func parseTokens(files [][]byte) ([]token, error) {
	var out []token
	err := words(files[0], func(line int, w []string) error {
		if len(w) != 2 {
			return fmt.Errorf("line %d: want a fleet and a token", line)
		}
		if len(w[1]) < shortestToken {
			return fmt.Errorf("line %d: the token has fewer than %d characters and could be guessed", line, shortestToken)
		}
		out = append(out, token{fleet: schema.FleetID(w[0]), digest: sha256.Sum256([]byte(w[1]))})
		return nil
	})
	if err == nil && len(out) == 0 {
		err = errors.New("no token in it: want lines of a fleet and a token")
	}
	return out, err
}

// Credentials is TLS as the server's access says.
func (s *Server) Credentials() grpc.ServerOption {
	if s.Access == nil || s.Access.certificates == nil {
		return grpc.EmptyServerOption{}
	}
	return grpc.Creds(handshakes{credentials.NewTLS(s.Access.tls()), s})
}

// tls is made for each handshake from the files as they are. Without tokens no handshake succeeds without a certificate.
func (a *Access) tls() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c := &tls.Config{
			MinVersion:             tls.VersionTLS12, // Envoy, as a client, speaks no newer one unless told
			NextProtos:             []string{"h2"},
			Certificates:           []tls.Certificate{a.certificates.get()},
			SessionTicketsDisabled: true, // each connection is judged by the files of its time
		}
		if a.authorities == nil {
			return c, nil
		}
		c.ClientCAs, c.ClientAuth = a.authorities.get(), tls.RequireAndVerifyClientCert
		if a.tokens != nil {
			c.ClientAuth = tls.VerifyClientCertIfGiven
		}
		return c, nil
	}}
}

// handshakes is TLS that notes who is turned away by it.
type handshakes struct {
	credentials.TransportCredentials
	server *Server
}

// ServerHandshake implements credentials.TransportCredentials.
func (h handshakes) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	out, info, err := h.TransportCredentials.ServerHandshake(conn)
	if err != nil && !errors.Is(err, io.EOF) { // one that only looks whether somebody listens is not worth a word
		h.server.turnedAway.note(node{}, conn.RemoteAddr(), &rejection{BadHandshake, line(err.Error())})
	}
	return out, info, err
}

// Clone implements credentials.TransportCredentials.
func (h handshakes) Clone() credentials.TransportCredentials {
	return handshakes{h.TransportCredentials.Clone(), h.server}
}
