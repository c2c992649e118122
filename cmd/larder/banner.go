package main

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"text/tabwriter"
)

// banner greets a person: where the server is, what it serves from where, and
// the line to paste for each client.
func banner(w io.Writer, info build, s *settings, dataPath, base string) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "larder %s is listening on %s\n", info.version, base)
	fmt.Fprintf(out, "  data\t%s\n", dataPath)
	fmt.Fprintf(out, "  upstream\t%s\n", upstreamLine(s))
	fmt.Fprintf(out, "  accounts\t%s\n", accountsLine(s, dataPath, base))
	for _, line := range pasteLines(base) {
		fmt.Fprintf(out, "  %s\t%s\n", line.client, line.paste)
	}
	return out.Flush()
}

func upstreamLine(s *settings) string {
	if len(s.Upstreams) == 0 {
		return "none"
	}
	named := make([]string, len(s.Upstreams))
	for i, u := range s.Upstreams {
		named[i] = u.Name + " " + u.URLs[0]
	}
	line := strings.Join(named, ", ")
	if s.Offline {
		line += " (offline: not asked)"
	}
	return line
}

// accountsLine says how to come by an account, which publishing needs.
func accountsLine(s *settings, dataPath, base string) string {
	if s.registrationOpen() {
		return "npm adduser --registry " + base
	}
	return "larder user add NAME --data " + dataPath
}

// pasteLine is what makes one client use this server.
type pasteLine struct{ client, paste string }

func pasteLines(base string) []pasteLine {
	lines := []pasteLine{
		{"npm", "npm config set registry " + base},
		{"pnpm", "pnpm config set registry " + base},
		{"yarn 1", "yarn config set registry " + base},
		{"yarn 4", "yarn config set npmRegistryServer " + strings.TrimSuffix(base, "/")},
		{"bun", "echo 'registry=" + base + "' >> .npmrc"},
		{"deno", "export NPM_CONFIG_REGISTRY=" + base},
	}
	if u, err := url.Parse(base); err == nil && u.Scheme == "http" {
		// Yarn 2 and later refuse plain HTTP to a host that is not listed.
		lines[3].paste += fmt.Sprintf(` && yarn config set unsafeHttpWhitelist --json '["%s"]'`, u.Hostname())
	}
	return lines
}

// baseURL returns the URL to give to clients, with a slash at its end: the
// public one if it is known, else that of a listening address.
func baseURL(scheme, publicURL string, addr net.Addr) string {
	if publicURL != "" {
		return strings.TrimSuffix(publicURL, "/") + "/"
	}
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return scheme + "://" + addr.String() + "/"
	}
	if tcp.IP.IsUnspecified() { // every interface; what others call this machine is not known here
		return fmt.Sprintf("%s://localhost:%d/", scheme, tcp.Port)
	}
	return scheme + "://" + tcp.String() + "/"
}
