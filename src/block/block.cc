#include "block/block.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/checksum.h"
#include "base/status.h"
#include "block/check_events.h"
#include "block/compression.h"
#include "block/content_digest.h"
#include "block/event_codec.h"

namespace forebay {
namespace {

// The header (docs/FORMATS.md): little-endian numbers at fixed places, then the producer id, then
// the body. The magic, the version and the checksum keep their places in every version.
constexpr std::string_view kMagic = "FBK1";
constexpr uint8_t kVersion = 1;
constexpr size_t kVersionAt = 4;         // 1 byte
constexpr size_t kCodecAt = 5;           // 1
constexpr size_t kIdBytesAt = 6;         // 2
constexpr size_t kChecksumAt = 8;        // 4
constexpr size_t kEventCountAt = 12;     // 4
constexpr size_t kRawBytesAt = 16;       // 4
constexpr size_t kBodyBytesAt = 20;      // 4
constexpr size_t kEpochAt = 24;          // 8
constexpr size_t kFirstSequenceAt = 32;  // 8
constexpr size_t kHeaderBytes = 40;

constexpr uint64_t kDigestKnown = uint64_t{1} << 32;

void Put(std::string& bytes, size_t at, size_t size, uint64_t value) {
  for (size_t i = 0; i < size; i++) bytes[at + i] = static_cast<char>(value >> (8 * i));
}

uint64_t Get(std::string_view bytes, size_t at, size_t size) {
  uint64_t value = 0;
  for (size_t i = size; i > 0; i--) value = value << 8 | static_cast<uint8_t>(bytes[at + i - 1]);
  return value;
}

uint32_t ChecksumOf(std::string_view bytes) {
  return Crc32c(bytes.substr(kChecksumAt + 4), Crc32c(bytes.substr(0, kChecksumAt)));
}

std::string Header(const BlockStamp& stamp, size_t event_count, size_t raw_bytes,
                   size_t body_bytes) {
  std::string bytes;
  bytes.reserve(kHeaderBytes + stamp.producer.value().size() + body_bytes);
  bytes.resize(kHeaderBytes);
  std::memcpy(bytes.data(), kMagic.data(), kMagic.size());
  Put(bytes, kVersionAt, 1, kVersion);
  Put(bytes, kIdBytesAt, 2, stamp.producer.value().size());
  Put(bytes, kEventCountAt, 4, event_count);
  Put(bytes, kRawBytesAt, 4, raw_bytes);
  Put(bytes, kBodyBytesAt, 4, body_bytes);
  Put(bytes, kEpochAt, 8, stamp.producer_epoch);
  Put(bytes, kFirstSequenceAt, 8, stamp.first_sequence);
  bytes += stamp.producer.value();
  return bytes;
}

absl::Status ValidateStamp(const BlockStamp& stamp, size_t event_count) {
  const size_t id_bytes = stamp.producer.value().size();
  if (id_bytes < 1 || id_bytes > EventLimits::kProducerIdBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("producer id is ", id_bytes,
                                                   " bytes long, but it must be 1 to ",
                                                   EventLimits::kProducerIdBytesMax));
  }
  if (stamp.first_sequence + event_count < stamp.first_sequence) {
    return absl::InvalidArgumentError(absl::StrCat("sequence ", stamp.first_sequence, " + ",
                                                   event_count, " events is beyond 64 bits"));
  }
  return absl::OkStatus();
}

// Memory for a decompressed body, kept for the next one of this thread unless it is unusually
// large.
class ThreadScratch {
 public:
  ~ThreadScratch() {
    if (bytes().capacity() > kKeptBytes) std::string().swap(bytes());
  }
  std::string& bytes() {
    thread_local std::string bytes;
    return bytes;
  }

 private:
  static constexpr size_t kKeptBytes = 1 << 20;  // blocks have 256 KiB unless told otherwise
};

// What the checksum cannot tell: that the writer was sane.
absl::Status ValidateCounts(uint64_t event_count, uint64_t raw_bytes) {
  if (event_count < 1 || event_count > EventLimits::kBlockEventsMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "block of ", event_count, " events, but it must be 1 to ", EventLimits::kBlockEventsMax));
  }
  if (raw_bytes > EventLimits::kBlockBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("block of ", raw_bytes,
                                                   " bytes before compression, over the limit of ",
                                                   EventLimits::kBlockBytesMax));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Block> Block::Parse(std::string bytes) {
  if (bytes.size() < kHeaderBytes) {
    return absl::DataLossError(absl::StrCat("block of ", bytes.size(), " bytes, shorter than its ",
                                            kHeaderBytes, "-byte header"));
  }
  const std::string_view view = bytes;
  if (view.substr(0, kMagic.size()) != kMagic) return absl::DataLossError("not a block: no magic");
  // H3, G10: damage is told apart from everything else before any field is believed.
  const auto checksum = static_cast<uint32_t>(Get(view, kChecksumAt, 4));
  if (ChecksumOf(view) != checksum) {
    return absl::DataLossError(
        absl::StrCat("block of ", bytes.size(), " bytes does not match its checksum"));
  }
  if (const uint64_t version = Get(view, kVersionAt, 1); version != kVersion) {
    return absl::InvalidArgumentError(absl::StrCat("block format version ", version,
                                                   ", but this build knows version ", kVersion));
  }
  const uint64_t codec = Get(view, kCodecAt, 1);
  if (codec > static_cast<uint64_t>(Codec::kZstd)) {
    return absl::InvalidArgumentError(absl::StrCat("block codec ", codec, " is not known here"));
  }
  const uint64_t id_bytes = Get(view, kIdBytesAt, 2);
  const uint64_t body_bytes = Get(view, kBodyBytesAt, 4);
  if (kHeaderBytes + id_bytes + body_bytes != bytes.size()) {
    return absl::DataLossError(absl::StrCat("block of ", bytes.size(),
                                            " bytes, but its header says ",
                                            kHeaderBytes + id_bytes + body_bytes));
  }
  auto content = std::make_shared<Content>();
  content->stamp = {.producer = ProducerId(bytes.substr(kHeaderBytes, id_bytes)),
                    .producer_epoch = Get(view, kEpochAt, 8),
                    .first_sequence = Get(view, kFirstSequenceAt, 8)};
  content->event_count = static_cast<uint32_t>(Get(view, kEventCountAt, 4));
  content->checksum = checksum;
  content->codec = static_cast<Codec>(codec);
  content->raw_bytes = Get(view, kRawBytesAt, 4);
  content->body_at = kHeaderBytes + id_bytes;
  FOREBAY_RETURN_IF_ERROR(ValidateCounts(content->event_count, content->raw_bytes));
  FOREBAY_RETURN_IF_ERROR(ValidateStamp(content->stamp, content->event_count));
  content->bytes = std::move(bytes);
  return Block(std::move(content));
}

absl::StatusOr<std::string_view> Block::RawBody(std::string& scratch) const {
  if (codec() == Codec::kNone && body().size() == raw_bytes()) return body();
  FOREBAY_RETURN_IF_ERROR(Decompress(codec(), body(), raw_bytes(), scratch));
  return scratch;
}

absl::Status Block::Validate() const {
  FOREBAY_RETURN_IF_ERROR(CheckFrame(codec(), body(), raw_bytes()));
  ThreadScratch scratch;
  const absl::StatusOr<std::string_view> raw = RawBody(scratch.bytes());
  if (!raw.ok()) return absl::InvalidArgumentError(raw.status().message());
  ContentDigest digest;
  FOREBAY_RETURN_IF_ERROR(CheckEvents(*raw, event_count(), digest));
  SetDigest(digest.value());
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Event>> Block::Decode() const {
  ThreadScratch scratch;
  const absl::StatusOr<std::string_view> raw = RawBody(scratch.bytes());
  if (!raw.ok()) return raw.status();
  absl::StatusOr<std::vector<Event>> events = DecodeEvents(*raw, event_count());
  if (events.ok() && events->size() != event_count()) {
    return absl::DataLossError(absl::StrCat("block holds ", events->size(),
                                            " events, but its header says ", event_count()));
  }
  return events;
}

absl::StatusOr<Block> EncodeBlock(const BlockStamp& stamp, absl::Span<const Event> events,
                                  Codec codec) {
  size_t raw_bytes = 0;
  for (const Event& event : events) raw_bytes += EncodedBytes(event);
  FOREBAY_RETURN_IF_ERROR(ValidateCounts(events.size(), raw_bytes));
  FOREBAY_RETURN_IF_ERROR(ValidateStamp(stamp, events.size()));

  // Kept for the next block of this thread; at most kBlockBytesMax.
  thread_local std::string raw;
  raw.clear();
  raw.reserve(raw_bytes);
  for (const Event& event : events) AppendEncoding(event, raw);
  FOREBAY_CHECK(raw.size() == raw_bytes, "EncodedBytes and AppendEncoding disagree");

  // What does not shrink is stored as it is, and says so.
  const std::optional<std::string_view> compressed = Compress(codec, raw);
  const std::string_view body = compressed.value_or(raw);
  if (!compressed) codec = Codec::kNone;
  std::string bytes = Header(stamp, events.size(), raw_bytes, body.size());
  bytes += body;
  Put(bytes, kCodecAt, 1, static_cast<uint64_t>(codec));
  Put(bytes, kChecksumAt, 4, ChecksumOf(bytes));
  absl::StatusOr<Block> block = Block::Parse(std::move(bytes));
  if (block.ok()) {
    ContentDigest digest;
    for (const Event& event : events) digest.Add(event);
    block->SetDigest(digest.value());
  }
  return block;
}

std::optional<uint32_t> Block::known_digest() const {
  const uint64_t digest = content_->digest.load(std::memory_order_relaxed);
  if ((digest & kDigestKnown) == 0) return std::nullopt;
  return static_cast<uint32_t>(digest);
}

void Block::SetDigest(uint32_t digest) const {
  content_->digest.store(kDigestKnown | digest, std::memory_order_relaxed);
}

absl::StatusOr<uint32_t> Block::ComputeDigest() const {
  if (const auto known = known_digest()) return *known;
  const absl::StatusOr<std::vector<Event>> events = Decode();
  if (!events.ok()) return events.status();
  ContentDigest digest;
  for (const Event& event : *events) digest.Add(event);
  SetDigest(digest.value());
  return digest.value();
}

uint32_t DigestOf(absl::Span<const Event> events) {
  uint32_t crc = 0;
  std::string encoding;
  for (const Event& event : events) {
    encoding.clear();
    AppendEncoding(event, encoding);
    crc = Crc32c(encoding, crc);
  }
  return crc;
}

}  // namespace forebay
