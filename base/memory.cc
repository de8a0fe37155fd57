#include "base/memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <string_view>

#include "base/unique_fd.h"

namespace cw {

std::size_t resident_bytes() {
  const UniqueFd fd(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC));
  if (!fd) return 0;
  std::array<char, 256> text{};
  const auto size = ::read(fd.get(), text.data(), text.size());
  if (size <= 0) return 0;
  // "total resident ...", in pages (proc(5)).
  const std::string_view line(text.data(), static_cast<std::size_t>(size));
  const auto space = line.find(' ');
  if (space == std::string_view::npos) return 0;
  std::size_t pages = 0;
  (void)std::from_chars(line.data() + space + 1, line.data() + line.size(), pages);
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace cw
