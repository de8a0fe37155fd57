// Package v20170312 stands for a cloud's client that the Go module proxy does not serve. flanneld's backend for that
// cloud compiles with it and cannot be used.
package v20170312

import "errors"

var errAbsent = errors.New("this flanneld was built without the client of that cloud")

type Client struct{}

type Filter struct {
	Name   *string
	Values []*string
}

type Route struct {
	DestinationCidrBlock, GatewayType, GatewayId, RouteType *string
	Enabled                                                 *bool
	RouteId                                                 *uint64
}

type RouteTable struct {
	RouteTableId *string
	RouteSet     []*Route
}

type DescribeRouteTablesRequest struct{ Filters []*Filter }

type DescribeRouteTablesResponse struct {
	Response *struct{ RouteTableSet []*RouteTable }
}

type DeleteRoutesRequest struct {
	RouteTableId *string
	Routes       []*Route
}

type CreateRoutesRequest struct {
	RouteTableId *string
	Routes       []*Route
}

func NewDescribeRouteTablesRequest() *DescribeRouteTablesRequest {
	return &DescribeRouteTablesRequest{}
}
func NewDeleteRoutesRequest() *DeleteRoutesRequest { return &DeleteRoutesRequest{} }
func NewCreateRoutesRequest() *CreateRoutesRequest { return &CreateRoutesRequest{} }

func NewClientWithSecretId(_, _, _ string) (*Client, error) { return nil, errAbsent }

func (*Client) DescribeRouteTables(*DescribeRouteTablesRequest) (*DescribeRouteTablesResponse, error) {
	return nil, errAbsent
}
func (*Client) DeleteRoutes(*DeleteRoutesRequest) (*struct{}, error) { return nil, errAbsent }
func (*Client) CreateRoutes(*CreateRoutesRequest) (*struct{}, error) { return nil, errAbsent }
