// Aligned columns of text, optionally with colours. Pure.
#pragma once

#include <string>
#include <vector>

namespace cw::cli {

enum class Tone { kPlain, kGood, kWarn, kBad, kFaint };

struct Cell {
  std::string text;
  Tone tone = Tone::kPlain;
  Cell(std::string t, Tone how = Tone::kPlain) : text(std::move(t)), tone(how) {}
  Cell(const char* t) : text(t) {}
};

// `text` in the tone's colour (ANSI SGR). Without `colours` it is unchanged.
[[nodiscard]] std::string painted(const std::string& text, Tone tone, bool colours);

class Table {
 public:
  explicit Table(std::vector<std::string> headers) : headers_(std::move(headers)) {}
  void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  // Two spaces between columns, no spaces at line ends. Widths count UTF-8 characters, not bytes.
  [[nodiscard]] std::string text(bool colours) const;

 private:
  std::vector<std::string> headers_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace cw::cli
