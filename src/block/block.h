// A block: a batch of events of one producer, encoded, compressed and checksummed once. The same
// bytes are appended, mirrored and stored. docs/FORMATS.md gives them one by one.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "forebay/event.h"
#include "forebay/ids.h"
#include "forebay/options.h"

namespace forebay {

// Who made a block, and which of its events these are.
struct BlockStamp {
  ProducerId producer;          // 1 to EventLimits::kProducerIdBytesMax bytes
  uint64_t producer_epoch = 0;  // a higher one fences the lower ones of the same id
  uint64_t first_sequence = 0;  // of the first event; the next block starts at first + count

  friend bool operator==(const BlockStamp&, const BlockStamp&) = default;
};

// Immutable and cheap to copy: copies share the bytes, because one block is at the same time in the
// write-ahead log's queue and in one mirror stream per replica.
class Block {
 public:
  // Checks the header, every length and the checksum. Never trusts a length.
  // DATA_LOSS: damaged. INVALID_ARGUMENT: a version or codec this build does not know.
  static absl::StatusOr<Block> Parse(std::string bytes);

  const BlockStamp& stamp() const { return content_->stamp; }
  uint32_t event_count() const { return content_->event_count; }  // at least 1
  uint32_t checksum() const { return content_->checksum; }        // CRC32C over all other bytes
  Codec codec() const { return content_->codec; }
  uint64_t raw_bytes() const { return content_->raw_bytes; }  // before compression
  std::string_view bytes() const { return content_->bytes; }

  // To be called by the one that takes a block from a client: Parse says that the bytes came
  // through, this that everyone can read them later. INVALID_ARGUMENT, naming the event and what is
  // wrong, unless the body is what the header says, in one frame of the codec, and holds
  // event_count() events within EventLimits. Takes no more memory than raw_bytes(), and builds no
  // events.
  // Afterwards known_digest() is known.
  absl::Status Validate() const;

  // What the events are, apart from their times, which a node may have filled in: CRC-32C over the
  // other fields. The same events have the same digest, whichever way they are encoded. Nothing
  // where nobody has computed it for this block or a copy of it. Thread-safe.
  std::optional<uint32_t> known_digest() const;
  // The same, by decoding the block where it is not known: takes time.
  absl::StatusOr<uint32_t> ComputeDigest() const;

  // The events, in order. DATA_LOSS when the body does not hold what the header says.
  absl::StatusOr<std::vector<Event>> Decode() const;

 private:
  struct Content {
    std::string bytes;
    BlockStamp stamp;
    uint32_t event_count = 0;
    uint32_t checksum = 0;
    Codec codec = Codec::kNone;
    uint64_t raw_bytes = 0;
    size_t body_at = 0;  // where the body starts in bytes
    // Known: that bit and the digest. It follows from the rest, so it may come later.
    mutable std::atomic<uint64_t> digest = 0;
  };
  explicit Block(std::shared_ptr<const Content> content) : content_(std::move(content)) {}
  friend absl::StatusOr<Block> EncodeBlock(const BlockStamp& stamp, absl::Span<const Event> events,
                                           Codec codec);
  void SetDigest(uint32_t digest) const;

  std::string_view body() const { return bytes().substr(content_->body_at); }
  // The body, decompressed if it has to be, into `scratch`.
  absl::StatusOr<std::string_view> RawBody(std::string& scratch) const;

  std::shared_ptr<const Content> content_;
};

// Refuses events over EventLimits (INVALID_ARGUMENT, naming the event, the limit and the value).
absl::Status ValidateEvent(const Event& event);

// What ValidateEvent accepts, at most kBlockEventsMax events and kBlockBytesMax raw bytes.
// events must not be empty.
absl::StatusOr<Block> EncodeBlock(const BlockStamp& stamp, absl::Span<const Event> events,
                                  Codec codec);

// The raw size an event adds to a block, in bytes.
size_t EncodedBytes(const Event& event);

// CRC32C over the encodings of the events, in order: SinkBatch::digest.
uint32_t DigestOf(absl::Span<const Event> events);

}  // namespace forebay
