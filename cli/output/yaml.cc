#include "cli/output/yaml.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

namespace cw::cli {

namespace {

// True: YAML 1.1 or 1.2 readers take this word for a boolean or null.
bool is_reserved(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  constexpr std::string_view kWords[] = {"true", "false", "yes", "no", "on",
                                         "off",  "null",  "y",   "n",  "~"};
  return std::find(std::begin(kWords), std::end(kWords), text) != std::end(kWords);
}

// True: no YAML reader can misread the text without quotes. It begins with a letter and has only
// letters, digits, '-', '.', '_', '/' and spaces. Dates, numbers and addresses get quotes.
bool is_plain(const std::string& text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (text.empty() || !letter(text.front()) || is_reserved(text)) return false;
  const bool safe = std::all_of(text.begin(), text.end(), [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '/' ||
           c == ' ';
  });
  return safe && text.back() != ' ';
}

template <typename Json>
std::string scalar(const Json& value) {
  if (!value.is_string()) return value.dump();
  const auto& text = value.template get_ref<const std::string&>();
  // JSON's double-quoted form is also YAML. Bytes that are not UTF-8 are replaced.
  return is_plain(text) ? text : value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

template <typename Json>
void write(const Json& value, std::size_t indent, std::string& out) {
  const std::string pad(indent, ' ');
  if (value.is_object()) {
    for (const auto& [key, child] : value.items()) {
      out += pad + (is_plain(key) ? key : Json(key).dump()) + ":";
      if (child.is_structured() && !child.empty()) {
        out += '\n';
        write(child, indent + 2, out);
      } else {
        out += " " + scalar(child) + "\n";
      }
    }
    return;
  }
  for (const auto& child : value) {
    if (child.is_structured() && !child.empty()) {
      std::string inner;
      write(child, indent + 2, inner);
      inner[indent] = '-';  // the dash takes the place of the first line's indentation
      out += inner;
    } else {
      out += pad + "- " + scalar(child) + "\n";
    }
  }
}

template <typename Json>
std::string document(const Json& value) {
  if (!value.is_structured() || value.empty()) return scalar(value) + "\n";
  std::string out;
  write(value, 0, out);
  return out;
}

}  // namespace

std::string to_yaml(const nlohmann::json& value) { return document(value); }
std::string to_yaml(const nlohmann::ordered_json& value) { return document(value); }

}  // namespace cw::cli
