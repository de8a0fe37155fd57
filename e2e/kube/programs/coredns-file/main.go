// CoreDNS that serves a zone file: what ./dev bench discovery compares with. Not the one of the test
// clusters, so that it is not built unless the bench asks for it.
package main

import (
	_ "github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/file"
)

func main() { coremain.Run() }
