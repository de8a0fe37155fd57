#include "routeagent/closed/ledger_book.h"

#include <utility>

#include "base/log.h"

namespace cw::routeagent {

LedgerBook::LedgerBook(Loop& loop, Random& random, LedgerFile file, std::function<void()> on_change)
    : loop_(loop),
      random_(random),
      write_(std::move(file.write)),
      on_change_(std::move(on_change)) {
  if (!file.before) {
    trouble_ = file.before.error().text;
    log_error("cannot read the file of closed prefixes: they are unknown until the store answers",
              {{"error", trouble_}});
    return;
  }
  ledger_ = std::move(*file.before);
  on_disk_ = ledger_text(ledger_);
  in_file_ = cluster_ids(ledger_);
}

void LedgerBook::set(Ledger ledger) {
  ledger_ = std::move(ledger);
  save();
}

void LedgerBook::save() {
  if (!writing_.empty() || retry_timer_.active()) return;
  auto text = ledger_text(ledger_);
  if (text == on_disk_) return;
  writing_ = std::move(text);
  in_file_.merge(cluster_ids(ledger_));
  write_(writing_, [this](const Result<>& done) { saved(done); });
}

void LedgerBook::saved(const Result<>& done) {
  const auto text = std::exchange(writing_, {});
  if (!done) {
    if (trouble_ != done.error().text) {
      log_error("cannot write the file of closed prefixes: trying again",
                {{"error", done.error().text}});
    }
    trouble_ = done.error().text;
    retry_timer_ = loop_.after(retry_.next(random_), [this] {
      retry_timer_.reset();
      save();
    });
    return on_change_();
  }
  retry_.reset();
  trouble_.clear();
  on_disk_ = text;
  const auto ledger = parse_ledger(text);
  in_file_ = ledger ? cluster_ids(*ledger) : std::set<std::string>{};
  save();  // the ledger may have changed during the write
  on_change_();
}

}  // namespace cw::routeagent
