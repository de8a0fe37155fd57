#include "cli/output/table.h"

#include <algorithm>

namespace cw::cli {

namespace {

std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;  // not a continuation byte
  }));
}

const char* code_of(Tone tone) {
  switch (tone) {
    case Tone::kGood:
      return "\x1b[32m";
    case Tone::kWarn:
      return "\x1b[33m";
    case Tone::kBad:
      return "\x1b[31m";
    case Tone::kFaint:
      return "\x1b[2m";
    case Tone::kPlain:
      break;
  }
  return "";
}

}  // namespace

std::string painted(const std::string& text, Tone tone, bool colours) {
  if (!colours || tone == Tone::kPlain || text.empty()) return text;
  return code_of(tone) + text + "\x1b[0m";
}

std::string Table::text(bool colours) const {
  std::vector<std::size_t> widths;
  for (const auto& header : headers_) widths.push_back(width_of(header));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i) {
      widths[i] = std::max(widths[i], width_of(row[i].text));
    }
  }
  std::string all;
  const auto line = [&](const std::vector<Cell>& row) {
    std::size_t gap = 0;  // spaces before the next cell that has text
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i) {
      const auto width = width_of(row[i].text);
      if (width > 0) {
        all += std::string(gap, ' ') + painted(row[i].text, row[i].tone, colours);
        gap = 0;
      }
      gap += widths[i] - width + 2;
    }
    all += '\n';
  };
  std::vector<Cell> head;
  for (const auto& header : headers_) head.emplace_back(header, Tone::kFaint);
  line(head);
  for (const auto& row : rows_) line(row);
  return all;
}

}  // namespace cw::cli
