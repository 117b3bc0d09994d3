#include "wal/wal_file_check.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/checksum.h"

namespace forebay {
namespace {

// The format (RocksDB wiki, "Write Ahead Log File Format"): blocks of 32 KiB; in each, fragments of
// masked CRC-32C (4) | length (2) | type (1) | payload, numbers little-endian. The CRC covers type
// and payload. A fragment never crosses a block; fewer than 7 bytes at a block's end are zeros.
// A record's payload is a write batch: sequence (8) | count (4) | ...
constexpr size_t kBlock = 32 << 10;
constexpr size_t kHeader = 7;
constexpr size_t kBatchHeader = 12;
constexpr size_t kPage = 4096;  // what a file system writes as a whole
// Sequences of neighbours in a log are closer than this; it sorts out chance finds.
constexpr uint64_t kSequenceReach = uint64_t{1} << 32;

enum Type : uint8_t { kZero = 0, kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

uint64_t Number(std::string_view bytes, size_t at, size_t size) {
  uint64_t value = 0;
  for (size_t i = size; i > 0; --i) value = value << 8 | static_cast<uint8_t>(bytes[at + i - 1]);
  return value;
}

uint32_t Masked(uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8U; }

bool IsZero(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; });
}

// A fragment whose header is in the file.
struct Fragment {
  Fragment(std::string_view file, size_t at)
      : start(at),
        crc(static_cast<uint32_t>(Number(file, at, 4))),
        length(Number(file, at + 4, 2)),
        type(static_cast<uint8_t>(file[at + 6])) {}
  size_t end() const { return start + kHeader + length; }
  size_t block_end() const { return (start / kBlock + 1) * kBlock; }
  bool begins() const { return type == kFull || type == kFirst; }
  bool finishes() const { return type == kFull || type == kLast; }
  // As if it ended at `end`.
  bool Matches(std::string_view file, size_t end) const {
    return crc == Masked(Crc32c(file.substr(start + 6, end - start - 6)));
  }

  size_t start;
  uint32_t crc;
  size_t length;
  uint8_t type;
};

class Checker {
 public:
  Checker(std::string_view file, bool holds_batches) : file_(file), holds_batches_(holds_batches) {}

  WalFileVerdict Check() {
    size_t at = 0;
    while (true) {
      const size_t left_in_block = kBlock - at % kBlock;
      if (left_in_block < kHeader) {
        at += left_in_block;  // what the padding holds is of no meaning
        continue;
      }
      if (at >= file_.size()) return in_record_ ? Tail(true, "the file ends in a record") : Whole();
      if (!in_record_) record_start_ = at;
      if (file_.size() - at < kHeader) return Tail(true, "the file ends in a record's header");
      const Fragment fragment(file_, at);
      if (const std::optional<WalFileVerdict> verdict = Take(fragment)) return *verdict;
      at = fragment.end();
    }
  }

 private:
  // A verdict when the log cannot go on after it.
  std::optional<WalFileVerdict> Take(const Fragment& fragment) {
    if (fragment.type < kFull || fragment.type > kLast) return Tail(false, "unknown record type");
    if (fragment.end() > fragment.block_end()) return Tail(false, "record length too large");
    if (fragment.end() > file_.size()) {
      // A flipped bit in the length of the last record looks like a short file, but then the
      // checksum is right for what is there.
      const bool flipped = fragment.Matches(file_, file_.size());
      return Tail(!flipped, flipped ? "record length wrong" : "the file ends in a record");
    }
    if (!fragment.Matches(file_, fragment.end())) return Tail(false, "checksum mismatch");
    if (fragment.begins() == in_record_) return Damaged("a part of a record is missing");
    if (!fragment.finishes() && fragment.end() != fragment.block_end()) {
      return Damaged("a record's part does not fill its block");
    }
    if (!TakePayload(fragment)) return Damaged("a record is missing before this one");
    return std::nullopt;
  }

  // False when the record does not follow the one before.
  bool TakePayload(const Fragment& fragment) {
    if (fragment.begins()) batch_header_.clear();
    const std::string_view payload = file_.substr(fragment.start + kHeader, fragment.length);
    batch_header_ += payload.substr(0, kBatchHeader - std::min(kBatchHeader, batch_header_.size()));
    in_record_ = !fragment.finishes();
    if (in_record_) return true;
    good_end_ = fragment.end();
    if (!holds_batches_) return true;
    if (batch_header_.size() < kBatchHeader) return false;
    const uint64_t sequence = Number(batch_header_, 0, 8);
    const bool follows = !next_sequence_ || *next_sequence_ == sequence;
    next_sequence_ = sequence + Number(batch_header_, 8, 4);
    return follows;
  }

  // The record at record_start_ is not whole. It may go only if it was the last one, and not
  // synced: then the file ends too early, or pages of it never came to the disk and read as zeros.
  WalFileVerdict Tail(bool too_short, const char* what) const {
    if (RecordFollows()) return Damaged(absl::StrCat(what, ", with more records after it"));
    if (!too_short && !HasLostPage()) return Damaged(what);
    return {WalFileVerdict::kTorn, good_end_, Where(what)};
  }

  // A record is synced before the next is written, so one that follows proves that the bad one was.
  bool RecordFollows() const {
    const size_t least = holds_batches_ ? kBatchHeader : 1;
    for (size_t at = record_start_ + 1; at + kHeader + least <= file_.size(); ++at) {
      const Fragment fragment(file_, at);
      if (!fragment.begins() || fragment.length < least) continue;
      if (fragment.end() > std::min(fragment.block_end(), file_.size())) continue;
      if (holds_batches_) {
        const uint64_t sequence = Number(file_, at + kHeader, 8);
        const uint64_t after = next_sequence_.value_or(0);
        if (sequence < after || sequence - after > kSequenceReach) continue;
      }
      if (fragment.Matches(file_, fragment.end())) return true;
    }
    return false;
  }

  bool HasLostPage() const {
    const std::string_view tail = file_.substr(record_start_);
    if (IsZero(tail)) return true;
    for (size_t at = (record_start_ + kPage - 1) / kPage * kPage; at < file_.size(); at += kPage) {
      if (IsZero(file_.substr(at, kPage))) return true;
    }
    return false;
  }

  WalFileVerdict Whole() const { return {WalFileVerdict::kWhole, good_end_, ""}; }
  WalFileVerdict Damaged(const std::string& what) const {
    return {WalFileVerdict::kDamaged, std::min<uint64_t>(good_end_, record_start_), Where(what)};
  }
  std::string Where(const std::string& what) const {
    return absl::StrCat(what, " (record at byte ", record_start_, " of ", file_.size(), ")");
  }

  const std::string_view file_;
  const bool holds_batches_;
  bool in_record_ = false;  // between a record's first and last fragment
  size_t record_start_ = 0;
  uint64_t good_end_ = 0;
  std::string batch_header_;
  std::optional<uint64_t> next_sequence_;  // of the record after the last whole one
};

}  // namespace

WalFileVerdict CheckWalFile(std::string_view bytes) {
  return Checker(bytes, /*holds_batches=*/true).Check();
}

WalFileVerdict CheckManifestFile(std::string_view bytes) {
  return Checker(bytes, /*holds_batches=*/false).Check();
}

}  // namespace forebay
