//go:build tools

// Package tools names the program whose modules go.mod pins.
package tools

import _ "github.com/flannel-io/flannel"
