#include <algorithm>

#include "tunnel/engine/receive.h"

namespace cw::tunnel::engine {

ReceiveWork::ReceiveWork() {
  runs_.reserve(256);
  items_.reserve(kMaxItems);
  opened_.reserve(kMaxItems);
}

void ReceiveWork::sort(DeviceState& state) {
  runs_.clear();
  items_.clear();
  opened_.clear();
  for (const auto& received : messages.received()) {
    for (std::size_t at = 0; at < received.data.size(); at += received.segment) {
      add(state, received,
          received.data.subspan(at, std::min(received.segment, received.data.size() - at)));
    }
  }
}

void ReceiveWork::add(DeviceState& state, const Received& received,
                      std::span<std::uint8_t> message) {
  const auto type = message_type(message);
  if (!type) return;
  if (*type != MessageType::kData) {
    if (state.handshakes.push(message, received.from)) state.wake.control.set();
    return;
  }
  if (items_.size() == kMaxItems) return;
  const auto index = receiver_of(message);
  if (runs_.empty() || runs_.back().index != index || runs_.back().from != &received.from) {
    runs_.push_back({index, received.ecn, &received.from, items_.size(), 0, nullptr});
  }
  ++runs_.back().count;
  items_.push_back({load_le<std::uint64_t>(message, 8), message.data() + kDataHeader,
                    message.size() - kDataHeader - kTagSize, false});
}

void ReceiveWork::grant(DeviceState& state) {
  if (runs_.empty())
    return;  // only handshakes: do not wait for the mutex that they are answered under
  state.with_core(out_, [&](Protocol& protocol, TimePoint now, WallTime, Output&) {
    for (auto& run : runs_) {
      run.keypair = protocol.grant_open(run.index, now);
      if (run.keypair == nullptr) {
        run.count = 0;
        continue;
      }
      // Replayed messages are not worth a decryption.
      const auto begin = items_.begin() + static_cast<std::ptrdiff_t>(run.first);
      const auto end = begin + static_cast<std::ptrdiff_t>(run.count);
      const auto kept = std::remove_if(begin, end, [&](const AeadItem& item) {
        return !run.keypair->replay.check(item.counter);
      });
      run.count = static_cast<std::size_t>(kept - begin);
    }
  });
}

void ReceiveWork::open(Aead& aead) {
  for (auto& run : runs_) {
    const auto items = std::span(items_).subspan(run.first, run.count);
    if (run.count != 0) aead.open(run.keypair->keys.receive, items);
    run.first = opened_.size();
    for (const auto& item : items) {
      if (!item.ok) continue;
      opened_.push_back(
          {item.counter, kDataHeader + item.size + kTagSize, {item.data, item.size}, false});
    }
    run.count = opened_.size() - run.first;
  }
}

void ReceiveWork::commit(DeviceState& state, Joiner& joiner) {
  if (opened_.empty()) return runs_.clear();
  state.with_core(out_, [&](Protocol& protocol, TimePoint now, WallTime wall, Output& out) {
    for (const auto& run : runs_) {
      if (run.count == 0) continue;
      protocol.commit_open(run.keypair, std::span(opened_).subspan(run.first, run.count), *run.from,
                           now, wall, out);
    }
  });
  for (auto& run : runs_) {
    for (const auto& one : std::span(opened_).subspan(run.first, run.count)) {
      if (one.deliver && ecn_decapsulate(one.packet, run.ecn)) joiner.add(one.packet);
    }
    run.keypair.reset();  // the last owner wipes the keys
  }
}

}  // namespace cw::tunnel::engine
