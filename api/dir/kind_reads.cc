#include "api/dir/kind_reads.h"

#include <utility>

namespace cw::api {

namespace {

// For entries that were unreadable without being broken, e.g. EACCES; nothing may tell of a change.
constexpr Duration kReadAgain = std::chrono::seconds(5);

}  // namespace

Handle KindReads::when_read(Kind kind, std::function<Handle()> call) {
  auto& state = kinds_[kind];
  const bool first = !std::exchange(state.asked_for, true);
  if (state.read || away_) return call();
  const auto waiting = std::make_shared<Waiting>(Waiting{std::move(call), {}});
  state.waiting.push_back(waiting);
  if (first) read(kind);
  return Handle([waiting] { waiting->handle.reset(); });
}

void KindReads::let_go(State& state) {
  for (const auto& one : std::exchange(state.waiting, {})) {
    if (const auto waiting = one.lock()) waiting->handle = waiting->call();
  }
}

void KindReads::read(Kind kind) {
  auto& state = kinds_[kind];
  if (away_ || !state.asked_for) return;
  if (state.reading != Reading::kNo) {
    state.reading = Reading::kRunsAndAgain;
  } else if (start_(kind)) {
    state.reading = Reading::kRuns;
  } else {
    read_later(kind);
  }
}

void KindReads::read_all() {
  for (const auto& kind : all_kinds()) read(kind.kind);
}

void KindReads::read_later(Kind kind) {
  kinds_[kind].again = loop_.after(kReadAgain, [this, kind] {
    kinds_[kind].again.reset();
    read(kind);
  });
}

bool KindReads::ended(Kind kind) {
  return std::exchange(kinds_[kind].reading, Reading::kNo) == Reading::kRunsAndAgain;
}

void KindReads::complete(Kind kind) {
  auto& state = kinds_[kind];
  state.read = true;
  let_go(state);
}

void KindReads::leave() {
  away_ = true;
  for (auto& [kind, state] : kinds_) {
    state.read = false;
    let_go(state);
  }
}

}  // namespace cw::api
