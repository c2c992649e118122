// Package proxy is npm's HTTP surface: it parses requests, decides who answers
// them, and writes every response. It is the only package that knows statuses.
// It does not know how bytes are stored.
package proxy
