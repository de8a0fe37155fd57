#include "api/types/base64.h"

#include <openssl/evp.h>

#include <algorithm>

namespace cw::api {

std::string encode_base64(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

Result<std::string> decode_base64(std::string_view text) {
  const auto bad = [] { return fail(Errc::kInvalid, "not base64"); };
  const auto body_end = text.find_last_not_of('=');
  const auto body =
      body_end == std::string_view::npos ? std::string_view{} : text.substr(0, body_end + 1);
  const auto padding = text.size() - body.size();
  // EVP_DecodeBlock accepts white space around the text and padding in the middle. This check does
  // not.
  const bool alphabet = std::all_of(body.begin(), body.end(), [](unsigned char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
  });
  if (text.size() % 4 != 0 || padding > 2 || !alphabet) return bad();
  std::string out(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0) return bad();
  out.resize(out.size() - padding);
  return out;
}

}  // namespace cw::api
