// CoreDNS that serves a zone file or forwards: what ./dev bench discovery compares with, and what stands before
// it in bench/discovery/forwarders.py. Not the one of the test clusters, so that it is not built unless the
// bench asks for it.
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
