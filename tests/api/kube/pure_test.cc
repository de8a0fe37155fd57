#include <gtest/gtest.h>

#include "api/kube/answer.h"
#include "api/kube/kubeconfig.h"
#include "api/kube/lines.h"
#include "api/kube/url.h"

namespace cw::api::kube {
namespace {

TEST(KubeUrl, IsWhereTheApiServerHasTheKind) {
  EXPECT_EQ(object_path(Kind::kService, {"data", "pg"}), "/api/v1/namespaces/data/services/pg");
  EXPECT_EQ(object_path(Kind::kNode, {"", "n1"}), "/api/v1/nodes/n1");
  EXPECT_EQ(object_path(Kind::kLease, {"causeway-system", "x"}),
            "/apis/coordination.k8s.io/v1/namespaces/causeway-system/leases/x");
  EXPECT_EQ(object_path(Kind::kClusterPeer, {"", "east"}),
            "/apis/causeway.dev/v1alpha1/clusterpeers/east");
  EXPECT_EQ(collection_path(Kind::kEndpointSlice, ""), "/apis/discovery.k8s.io/v1/endpointslices");
}

TEST(KubeUrl, QueriesAreEscaped) {
  EXPECT_EQ(list_url({Kind::kNode, ""}, {}), "/api/v1/nodes");
  EXPECT_EQ(list_url({Kind::kService, "a", "x=y,z=1", "n"}, {500, "t+/="}),
            "/api/v1/namespaces/a/services?labelSelector=x%3Dy%2Cz%3D1&fieldSelector="
            "metadata.name%3Dn&limit=500&continue=t%2B%2F%3D");
  EXPECT_EQ(watch_url({Kind::kNode, ""}, "12&a=b", 300),
            "/api/v1/nodes?watch=1&allowWatchBookmarks=true&resourceVersion=12%26a%3Db"
            "&timeoutSeconds=300");
}

std::vector<std::string> lines_of(const std::vector<std::string>& chunks, std::size_t limit,
                                  bool* good = nullptr) {
  Lines lines(limit);
  std::vector<std::string> out;
  for (const auto& chunk : chunks) {
    const auto ok = lines.feed(chunk, [&](std::string_view line) {
      out.emplace_back(line);
      return true;
    });
    if (good != nullptr) *good = ok.has_value();
  }
  return out;
}

TEST(KubeLines, ComeOutTheSameHoweverTheStreamIsCut) {
  const std::string stream = "{\"a\":1}\n\n{\"b\":2}\nrest";
  const std::vector<std::string> wanted{"{\"a\":1}", "{\"b\":2}"};
  EXPECT_EQ(lines_of({stream}, 100), wanted);
  for (std::size_t cut = 1; cut < stream.size(); ++cut) {
    EXPECT_EQ(lines_of({stream.substr(0, cut), stream.substr(cut)}, 100), wanted) << cut;
  }
}

TEST(KubeLines, ALineOverTheLimitIsAnErrorEvenWithoutItsEnd) {
  bool good = true;
  EXPECT_EQ(lines_of({"12345\n"}, 5, &good).size(), 1U);
  EXPECT_TRUE(good);
  EXPECT_TRUE(lines_of({"123456"}, 5, &good).empty());
  EXPECT_FALSE(good);
  EXPECT_TRUE(lines_of({"123", "456\n"}, 5, &good).empty());
  EXPECT_FALSE(good);
}

TEST(KubeLines, StopWhenTheTakerHasEnough) {
  Lines lines(10);
  int seen = 0;
  EXPECT_TRUE(lines.feed("a\nb\nc\n", [&](std::string_view) { return ++seen < 2; }));
  EXPECT_EQ(seen, 2);
}

TEST(KubeAnswer, APageHasItemsVersionAndTheNextPagesToken) {
  const auto page = parse_page(Kind::kNode, R"({"kind":"NodeList","metadata":{
      "resourceVersion":"77","continue":"tok"},"items":[{"metadata":{"name":"n1",
      "resourceVersion":"5","managedFields":[{"manager":"x"}]}}]})");
  ASSERT_TRUE(page) << page.error().text;
  EXPECT_EQ(page->list.resource_version, "77");
  EXPECT_EQ(page->continue_token, "tok");
  ASSERT_EQ(page->list.items.size(), 1U);
  EXPECT_EQ(page->list.items[0].key.name, "n1");
  EXPECT_EQ(page->list.items[0].resource_version, "5");
  EXPECT_EQ(page->list.items[0].body["kind"], "Node");
  EXPECT_FALSE(page->list.items[0].body["metadata"].contains("managedFields"));
}

TEST(KubeAnswer, WhatIsNoListIsRefused) {
  EXPECT_TRUE(parse_page(Kind::kNode, R"({"metadata":{"resourceVersion":"1"},"items":null})"));
  for (const auto* text : {"", "[]", "{}", "null", R"({"metadata":{}})",
                           R"({"metadata":{"resourceVersion":1},"items":[]})",
                           R"({"metadata":{"resourceVersion":"1"},"items":{}})",
                           R"({"metadata":{"resourceVersion":"1"},"items":[{}]})",
                           R"({"metadata":{"resourceVersion":"1"},"items":[{"metadata":{}}]})"}) {
    EXPECT_FALSE(parse_page(Kind::kNode, text)) << text;
  }
}

TEST(KubeAnswer, DeepNestingIsRefused) {
  std::string deep = R"({"metadata":{"name":"n","resourceVersion":"1","x":)";
  EXPECT_FALSE(parse_object(Kind::kNode, deep + std::string(100'000, '[')));
  const auto closed = deep + std::string(100, '[') + std::string(100, ']') + "}}";
  EXPECT_EQ(parse_object(Kind::kNode, closed).error().code, Errc::kInvalid);
}

TEST(KubeAnswer, WatchEventsOfEveryType) {
  const std::string object = R"("object":{"metadata":{"name":"n1","resourceVersion":"9"}}})";
  for (const auto& [text, type] : {std::pair{"ADDED", EventType::kAdded},
                                   {"MODIFIED", EventType::kModified},
                                   {"DELETED", EventType::kDeleted}}) {
    const auto event =
        parse_event(Kind::kNode, "{\"type\":\"" + std::string(text) + "\"," + object);
    ASSERT_TRUE(event) << event.error().text;
    EXPECT_EQ(event->type, type);
    EXPECT_EQ(event->object.resource_version, "9");
  }
  const auto bookmark = parse_event(
      Kind::kNode, R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"10"}}})");
  ASSERT_TRUE(bookmark);
  EXPECT_EQ(bookmark->type, EventType::kBookmark);
  EXPECT_EQ(bookmark->object.resource_version, "10");
  EXPECT_FALSE(parse_event(Kind::kNode, R"({"type":"BOOKMARK","object":{}})"));
  EXPECT_FALSE(parse_event(Kind::kNode, R"({"type":"ODD","object":{}})"));
}

TEST(KubeAnswer, AGoneVersionInAWatchMeansListAgain) {
  const auto event = parse_event(Kind::kNode, R"J({"type":"ERROR","object":{"kind":"Status",
      "code":410,"reason":"Expired","message":"too old resource version: 1 (2)"}})J");
  ASSERT_FALSE(event);
  EXPECT_EQ(event.error().code, Errc::kExpired);
  EXPECT_EQ(event.error().text, "watch nodes: too old resource version: 1 (2)");
  EXPECT_EQ(parse_event(Kind::kNode, R"({"type":"ERROR","object":7})").error().code,
            Errc::kUnavailable);
}

TEST(KubeAnswer, StatusCodesMeanWhatCallersActOn) {
  const std::string exists = R"({"reason":"AlreadyExists","message":"there is one"})";
  EXPECT_EQ(error_of(409, exists, "create").code, Errc::kExists);
  EXPECT_EQ(error_of(409, exists, "create").text, "create: there is one");
  EXPECT_EQ(error_of(409, R"({"reason":"Conflict"})", "x").code, Errc::kConflict);
  for (const auto& [status, code] : {std::pair{400, Errc::kInvalid},
                                     {401, Errc::kDenied},
                                     {403, Errc::kDenied},
                                     {404, Errc::kNotFound},
                                     {410, Errc::kExpired},
                                     {413, Errc::kTooLarge},
                                     {422, Errc::kInvalid},
                                     {429, Errc::kUnavailable},
                                     {500, Errc::kUnavailable},
                                     {503, Errc::kUnavailable},
                                     {302, Errc::kInternal}}) {
    EXPECT_EQ(error_of(status, "<html>", "x").code, code) << status;
  }
}

constexpr const char* kConfig = R"(
apiVersion: v1
kind: Config
current-context: east
clusters:
- name: c1
  cluster: {server: "https://10.0.0.1:6443/", certificate-authority-data: Q0E=, tls-server-name: api}
- name: c2
  cluster: {server: "https://10.0.0.2:6443", insecure-skip-tls-verify: true, certificate-authority: ca.pem}
users:
- name: u1
  user: {client-certificate-data: Q0VSVA==, client-key-data: S0VZ}
- name: u2
  user: {tokenFile: token.txt}
- name: u3
  user:
    exec: {command: ./get-token, apiVersion: client.authentication.k8s.io/v1, args: [a, b], env: [{name: X, value: "1"}]}
- name: half
  user: {client-certificate-data: Q0VSVA==}
- name: old
  user: {auth-provider: {name: gcp}}
contexts:
- {name: east, context: {cluster: c1, user: u1, namespace: data}}
- {name: west, context: {cluster: c2, user: u2}}
- {name: exec, context: {cluster: c2, user: u3}}
- {name: half, context: {cluster: c1, user: half}}
- {name: old, context: {cluster: c1, user: old}}
- {name: lost, context: {cluster: nowhere, user: u1}}
)";

TEST(Kubeconfig, TheCurrentContextIsTakenUnlessAnotherIsNamed) {
  const auto east = parse_kubeconfig(kConfig, "", "/home/u/.kube");
  ASSERT_TRUE(east) << east.error().text;
  EXPECT_EQ(east->server, "https://10.0.0.1:6443");
  EXPECT_EQ(east->tls_server_name, "api");
  EXPECT_EQ(east->ns, "data");
  EXPECT_EQ(east->ca.data, "CA");
  EXPECT_EQ(east->client_certificate.data, "CERT");
  EXPECT_EQ(east->client_key.data, "KEY");
  const auto west = parse_kubeconfig(kConfig, "west", "/home/u/.kube");
  ASSERT_TRUE(west) << west.error().text;
  EXPECT_TRUE(west->insecure);
  EXPECT_EQ(west->ca.file, "/home/u/.kube/ca.pem");
  EXPECT_EQ(west->token.file, "/home/u/.kube/token.txt");
  const auto exec = parse_kubeconfig(kConfig, "exec", "/home/u/.kube");
  ASSERT_TRUE(exec) << exec.error().text;
  EXPECT_EQ(exec->exec.command, "/home/u/.kube/./get-token");
  EXPECT_EQ(exec->exec.args, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(exec->exec.env.at("X"), "1");
}

TEST(Kubeconfig, ProblemsAreNamed) {
  const auto text_of = [](const std::string& context) {
    return parse_kubeconfig(kConfig, context, "/").error().text;
  };
  EXPECT_EQ(text_of("north"), "kubeconfig: no \"north\" in contexts");
  EXPECT_EQ(text_of("lost"), "kubeconfig: no \"nowhere\" in clusters");
  EXPECT_EQ(text_of("half"), "kubeconfig: give both a client certificate and its key, or neither");
  EXPECT_EQ(text_of("old"), "kubeconfig: auth-provider was removed from Kubernetes; use exec");
  EXPECT_EQ(parse_kubeconfig("a: [", "", "/").error().code, Errc::kInvalid);
  EXPECT_EQ(parse_kubeconfig("[]", "", "/").error().text, "kubeconfig: not a mapping");
  EXPECT_EQ(parse_kubeconfig("{}", "", "/").error().text, "kubeconfig: no current-context");
}

TEST(Kubeconfig, APodsServiceAccount) {
  const auto access = in_cluster_access("fd00::1", "443", "/sa");
  EXPECT_EQ(access.server, "https://[fd00::1]:443");
  EXPECT_EQ(access.ca.file, "/sa/ca.crt");
  EXPECT_EQ(access.token.file, "/sa/token");
}

TEST(ExecCredential, HasATokenOrACertificate) {
  const auto good = parse_exec_credential(R"({"kind":"ExecCredential","status":
      {"token":"t","expirationTimestamp":"2030-01-02T03:04:05Z"}})");
  ASSERT_TRUE(good) << good.error().text;
  EXPECT_EQ(good->token, "t");
  EXPECT_EQ(good->expires, "2030-01-02T03:04:05Z");
  for (const auto* text :
       {"", "{}", R"({"kind":"ExecCredential"})", R"({"kind":"ExecCredential","status":{}})",
        R"({"kind":"Pod","status":{"token":"t"}})"}) {
    EXPECT_FALSE(parse_exec_credential(text)) << text;
  }
}

}  // namespace
}  // namespace cw::api::kube
