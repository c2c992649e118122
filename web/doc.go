// Package web has the pages that people look at. There is one: the page to
// which npm login sends a person's browser. It is plain HTML with its style in
// it, without scripts and without anything fetched from elsewhere.
package web
