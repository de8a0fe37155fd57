// CoreDNS that serves a zone file or forwards. `./dev bench discovery` compares Causeway with it, and
// bench/discovery/forwarders.py puts it before Causeway's server. It is a program of its own, so that only the
// benchmark builds it.
package main

import (
	_ "github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/file"
	_ "github.com/coredns/coredns/plugin/forward"
)

func main() { coremain.Run() }
