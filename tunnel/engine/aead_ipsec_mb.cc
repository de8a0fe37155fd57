#include <cstring>

#include "tunnel/engine/aead.h"

#if defined(__x86_64__) && __has_include(<intel-ipsec-mb.h>)

#include <intel-ipsec-mb.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

namespace cw::tunnel::engine {

namespace {

struct FreeManager {
  void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
};

// The job API: for this cipher a job is complete when it is submitted. Decryption only computes the
// tag. So this class compares it, in constant time, before any code may read the plaintext.
class IpsecMbAead final : public Aead {
 public:
  explicit IpsecMbAead(IMB_MGR* manager) : manager_(manager) {}

  [[nodiscard]] std::string_view name() const override { return "ipsec-mb"; }

  void seal(const Bytes32& key, std::span<AeadItem> items) override {
    for (auto& item : items) {
      item.ok = run(key, item, IMB_DIR_ENCRYPT, item.data + item.size);
    }
  }

  void open(const Bytes32& key, std::span<AeadItem> items) override {
    for (auto& item : items) {
      Bytes16 tag{};
      item.ok = run(key, item, IMB_DIR_DECRYPT, tag.data()) &&
                equal_constant_time(tag, {item.data + item.size, kTagSize});
      if (!item.ok) std::memset(item.data, 0, item.size);
    }
  }

 private:
  bool run(const Bytes32& key, const AeadItem& item, IMB_CIPHER_DIRECTION direction,
           std::uint8_t* tag) {
    std::uint8_t nonce[12] = {};
    std::memcpy(nonce + 4, &item.counter, sizeof item.counter);
    // All jobs of this manager are of one kind and differ only in the fields that are set here. So
    // the 200 bytes of each slot of the ring are cleared (and checked) only once.
    auto* job = IMB_GET_NEXT_JOB(manager_.get());
    if (cleared_ < kRing) {
      std::memset(job, 0, sizeof *job);
      ++cleared_;
    }
    job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
    job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
    job->cipher_direction = direction;
    job->chain_order = direction == IMB_DIR_ENCRYPT ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
    job->enc_keys = key.data();
    job->dec_keys = key.data();
    job->key_len_in_bytes = key.size();
    job->src = item.data;
    job->dst = item.data;
    job->msg_len_to_cipher_in_bytes = item.size;
    job->msg_len_to_hash_in_bytes = item.size;
    job->iv = nonce;
    job->iv_len_in_bytes = sizeof nonce;
    job->auth_tag_output = tag;
    job->auth_tag_output_len_in_bytes = kTagSize;
    job =
        cleared_ < kRing ? IMB_SUBMIT_JOB(manager_.get()) : IMB_SUBMIT_JOB_NOCHECK(manager_.get());
    if (job == nullptr) job = IMB_FLUSH_JOB(manager_.get());
    return job != nullptr && job->status == IMB_STATUS_COMPLETED;
  }

  static constexpr unsigned kRing = IMB_MAX_JOBS;
  std::unique_ptr<IMB_MGR, FreeManager> manager_;
  unsigned cleared_ = 0;
};

// The library tests all its ciphers when it is initialised. That makes 3 MiB of code resident, of
// which this program then uses a few KiB. This gives the pages back; used ones return from the page
// cache.
int give_back_code(dl_phdr_info* object, std::size_t, void* within) {
  const auto wanted = reinterpret_cast<std::uintptr_t>(within);
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0 || (segment.p_flags & PF_W) != 0)
      continue;
    const auto begin = object->dlpi_addr + segment.p_vaddr;
    if (wanted < begin || wanted - begin >= segment.p_memsz) continue;
    const auto cut = begin % page;
    auto* first = static_cast<char*>(within) - (wanted - begin) - cut;
    (void)::madvise(first, segment.p_memsz + cut, MADV_DONTNEED);
    return 1;
  }
  return 0;
}

}  // namespace

namespace detail {

std::unique_ptr<Aead> make_ipsec_mb_aead() {
  auto* manager = alloc_mb_mgr(0);
  if (manager == nullptr) return nullptr;
  init_mb_mgr_auto(manager, nullptr);
  // The address comes from the manager: a function's own address may be that of a jump in this
  // program.
  (void)::dl_iterate_phdr(give_back_code, reinterpret_cast<void*>(manager->submit_job));
  auto aead = std::make_unique<IpsecMbAead>(manager);
  return imb_get_errno(manager) == 0 ? std::move(aead) : nullptr;
}

}  // namespace detail

}  // namespace cw::tunnel::engine

#else

namespace cw::tunnel::engine::detail {
std::unique_ptr<Aead> make_ipsec_mb_aead() { return nullptr; }
}  // namespace cw::tunnel::engine::detail

#endif
