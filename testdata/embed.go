// Package testdata holds the storefront graph, this project's own sample
// federation: tests read it, and the demo serves it.
package testdata

import "embed"

// Storefront is the storefront folder: the SDL of six subgraphs in two
// versions, what composition makes of them, and the operations that clients send.
//
//go:embed storefront
var Storefront embed.FS
